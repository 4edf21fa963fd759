/**
 * `tandem export` and `tandem import` as commands: what is written, what is refused and by which
 * name. The network is the small one, the run a real one.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import '../support/use-small-model.ts';

// After the small model has taken its place.
const { smallRun, tinyPhotographs } = await import('../support/small-run.ts');
const { command } = await import('../support/command.ts');
const { readEncoderFolder } = await import('../../shared/adapters/encoder-folder.ts');
const { readCheckpoint } = await import('../../coordinator/shell/checkpoints.ts');
const { architecture } = await import('../../shared/core/architecture.ts');

const base = mkdtempSync(join(tmpdir(), 'tandem-encoder-'));
after(() => rmSync(base, { recursive: true, force: true }));
const run = join(base, 'flowers | <b>');
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

before(async () => {
  const data = await tinyPhotographs(join(base, 'data'), 30);
  await smallRun({ data, steps: 6, run, 'checkpoint-every': 3 });
  mkdirSync(join(run, 'evaluations'));
});

describe('tandem export', () => {
  it('writes encoder, heads, record and card; the same bytes each time', async () => {
    const out = join(base, 'a');
    const { code, out: text, err } = await command(['export', run, '--out', out, '--json']);
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(readdirSync(out).sort(), [
      ...['README.md', 'encoder.json', 'encoder.safetensors', 'heads.safetensors'],
    ]);
    const told = JSON.parse(text);
    assert.equal(told.digest, sha256(join(out, 'encoder.safetensors')));
    assert.deepEqual(
      [told.source.kind, told.source.step, told.source.run],
      ['run', 6, 'flowers | <b>'],
    );
    assert.equal(
      told.source.checkpoint,
      sha256(join(run, 'checkpoints', 'step-00000006', 'model.safetensors')),
    );
    const again = join(base, 'again');
    assert.equal((await command(['export', run, '--out', again])).code, 0);
    for (const name of readdirSync(out))
      assert.equal(sha256(join(out, name)), sha256(join(again, name)), name);
  });

  it('gives back the very weights of the checkpoint', async () => {
    const { copy } = await readCheckpoint(run, 6, architecture('resnet18-cifar'));
    const { weights, statistics, record } = await readEncoderFolder(join(base, 'a'));
    assert.equal(record.preprocessing.size, 8);
    assert.deepEqual(statistics, copy.statistics);
    for (const { name, offset, length } of architecture('resnet18-cifar').parameters) {
      const part = weights.subarray(offset, offset + length);
      if (name.startsWith('encoder.'))
        assert.deepEqual(part, copy.weights.subarray(offset, offset + length), name);
      else
        assert.ok(
          part.every((value) => value === 0),
          name,
        );
    }
  });

  it('takes an earlier checkpoint; the card says which, and escapes what it quotes', async () => {
    const out = join(base, 'early');
    const path = join(run, 'checkpoints', 'step-00000003');
    assert.equal((await command(['export', path, '--out', out])).code, 0);
    const card = readFileSync(join(out, 'README.md'), 'utf8');
    assert.match(card, /^---\nlicense: other\n/);
    assert.ok(card.includes('| run | flowers \\| \\<b\\>, step 3 |'));
    assert.ok(card.includes(sha256(join(path, 'model.safetensors'))));
    assert.match(card, /\| steps \| 3 of 6 \|/);
    assert.match(card, /\| microBatch \| `2` \|/);
    assert.match(card, /\| fingerprint of the data \| `[0-9a-f]{64}` \|/);
    assert.ok(!card.includes(base));
  });

  it('refuses what is no checkpoint, a damaged one, and a place that is taken', async () => {
    const refused = async (path: string, out: string, message: RegExp, code: number) => {
      const ended = await command(['export', path, '--out', out]);
      assert.match(ended.err, message);
      assert.equal(ended.code, code);
    };
    const free = join(base, 'free');
    await refused(base, free, /is not a run folder.*\(run-missing\)/, 66);
    await refused(join(run, 'checkpoints', 'step-00000099'), free, /no checkpoint.*missing\)/, 66);
    await refused(run, join(base, 'a'), /is there already.*\(bad-option\)/, 64);
    const damaged = join(base, 'damaged');
    cpSync(run, damaged, { recursive: true });
    const path = join(damaged, 'checkpoints', 'step-00000006');
    appendFileSync(join(path, 'model.safetensors'), 'x');
    await refused(path, free, /is damaged.*\(checkpoint-damaged\)/, 65);
    assert.equal(existsSync(free), false);
    // The newest of a run: the one before is taken, and said.
    const ended = await command(['export', damaged, '--out', join(base, 'before')]);
    assert.match(ended.err, /step-00000006 is damaged.*Taking the one before/);
    assert.match(ended.out, /step 3 of damaged/);
  });
});

describe('an encoder folder that does not hold', () => {
  const broken = (name: string, change: (folder: string) => void): string => {
    const folder = join(base, `broken-${name}`);
    cpSync(join(base, 'a'), folder, { recursive: true });
    change(folder);
    return folder;
  };
  const record = (folder: string, change: (value: { preprocessing: object }) => void): void => {
    const path = join(folder, 'encoder.json');
    const value = JSON.parse(readFileSync(path, 'utf8'));
    change(value);
    writeFileSync(path, JSON.stringify(value));
  };
  const cases: [string, (folder: string) => void, RegExp][] = [
    [
      'bytes',
      (folder) => {
        const path = join(folder, 'encoder.safetensors');
        const bytes = readFileSync(path);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        writeFileSync(path, bytes);
      },
      /its bytes hash to [0-9a-f]{64}, encoder.json says/,
    ],
    [
      'version',
      (folder) => record(folder, (value) => Object.assign(value, { version: 9 })),
      /version 9, this release reads 1/,
    ],
    [
      'mean',
      (folder) =>
        record(folder, ({ preprocessing }) => Object.assign(preprocessing, { mean: [0, 0, 0] })),
      /preprocessing.mean is \[0,0,0\], this release knows \[0.485/,
    ],
    [
      'model',
      (folder) => record(folder, (value) => Object.assign(value, { model: 'vgg' })),
      /model "vgg" is none of resnet18/,
    ],
    ['json', (folder) => writeFileSync(join(folder, 'encoder.json'), '['), /cannot be read/],
  ];
  for (const [name, change, message] of cases)
    it(`is refused: ${name}`, async () => {
      await assert.rejects(readEncoderFolder(broken(name, change)), (error: Error) => {
        assert.match(error.message, message);
        assert.equal((error as { code?: string }).code, 'bad-weights');
        return true;
      });
    });
});

describe('tandem import refuses', () => {
  const file = (name: string, bytes: Uint8Array): string => {
    const path = join(base, name);
    writeFileSync(path, bytes);
    return path;
  };
  const headed = (header: Uint8Array | string, data = 0, announced?: bigint): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(announced ?? BigInt(header.length));
    return Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]);
  };
  const named = (dtype: string) =>
    headed(`{"layer1.0.x":{"dtype":"${dtype}","shape":[1],"data_offsets":[0,4]}}`, 4);
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ['an empty file', Buffer.alloc(0), /it has 0 bytes/],
    [
      'a giant header',
      headed('{}', 0, 2n ** 63n),
      /header of 9223372036854775808 bytes, at most 2/,
    ],
    [
      'a header of 9 MiB',
      headed(Buffer.alloc(9 << 20, ' ')),
      /header of 9437184 bytes, at most 8388/,
    ],
    ['a header beyond the end', headed('{}', 0, 3n), /header of 3 bytes, at most 2 can be/],
    ['a header that is not UTF-8', headed(Buffer.from([0x7b, 0xff, 0x7d])), /header is not UTF-8/],
    ['a byte order mark', headed('\ufeff{}'), /expected \{ at character 0/],
    ['a pickle', Buffer.from('80049503000000000000004b012e00000000', 'hex'), /save_file/],
    ['a zip of torch.save', Buffer.from('PK\u0003\u0004 and much more'), /save_file/],
    ['names given twice', headed('{"a":{},"a":{}}'), /tensor "a" has no dtype/],
    ['a model that is none', named('F32'), /lacks conv1\.weight/],
  ];
  for (const [what, bytes, message] of cases)
    it(what, async () => {
      const path = file('hostile.safetensors', bytes);
      const out = join(base, 'none');
      const ended = await command(['import', path, '--out', out]);
      assert.match(ended.err, message);
      assert.match(ended.err, /^tandem: .*hostile\.safetensors: .*\(bad-weights\)\n$/);
      assert.deepEqual([ended.code, existsSync(out)], [65, false]);
    });

  it('a folder, a pipe, and a file that is not there', async () => {
    const pipe = join(base, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const path of [base, pipe, join(base, 'absent')]) {
      const ended = await command(['import', path, '--out', join(base, 'none')]);
      assert.match(ended.err, /it (?:is no plain file|cannot be read).*\(bad-weights\)/);
    }
  });

  it('without a file, a place or a size', async () => {
    for (const [argv, message] of [
      [['import'], /say what to import/],
      [['import', 'x'], /say where to: --out DIR/],
      [['import', 'x', '--out', 'y', '--size', '7'], /--size expects a whole number from 8/],
      [['export'], /say what to export/],
      [['export', 'x'], /say where to: --out DIR/],
    ] as const) {
      const ended = await command([...argv]);
      assert.match(ended.err, message);
      assert.equal(ended.code, 64);
    }
  });
});
