/**
 * The table of bad input: options, files of options, folders, images, archives, checkpoints,
 * ledgers, ports, permissions, environment. Each gets one line that says what was expected, found
 * and to be done, its exit code, no stack, and no file is lost or changed by it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { type FailureCode, failures } from '../../shared/core/failures.ts';
import { exampleOf, tarOf, tfrecordOf } from '../support/archives.ts';
import { command } from '../support/command.ts';
import { trainExactly } from '../support/exact-training.ts';

const base = mkdtempSync(join(tmpdir(), 'tandem-bad-'));
after(() => rmSync(base, { recursive: true, force: true }));
const jpeg = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#c83' } })
  .jpeg()
  .toBuffer();
const small = ['--model', 'resnet18-cifar', '--size', '8', '--batch', '4', '--micro-batch', '2'];
const method = [...small, '--steps', '2', '--data', 'synthetic:8'];

let folders = 0;
function folder(files: Record<string, string | Uint8Array> = {}): string {
  folders += 1;
  const made = join(base, `${folders}`);
  mkdirSync(made);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(made, path)), { recursive: true });
    writeFileSync(join(made, path), content);
  }
  return made;
}

/** A finished run, to be copied and harmed. */
const finished = join(base, 'finished');
let port = 0;
const taken = createServer();
before(async () => {
  await trainExactly({ options: { data: 'synthetic:8', run: finished } });
  // None of these cases gets as far as the tensors: small files stand for hundreds of megabytes.
  rmSync(join(finished, 'warm'), { recursive: true });
  for (const step of [0, 2]) {
    const digest = createHash('sha256').update(`model ${step}`).digest('hex');
    writeFileSync(model(finished, step), `model ${step}`);
    writeFileSync(
      join(dirname(model(finished, step)), 'manifest.json'),
      JSON.stringify({ digest }),
    );
  }
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  port = (taken.address() as AddressInfo).port;
});
after(() => taken.close());

function harmed(harm: (run: string) => void): string {
  const run = folder();
  cpSync(finished, run, { recursive: true });
  harm(run);
  return run;
}

const rewrite = (file: string, change: (text: string) => string): void =>
  writeFileSync(file, change(readFileSync(file, 'utf8')));
const model = (run: string, step = 2): string =>
  join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}`, 'model.safetensors');

/** Every file below a folder with its hash. */
function filesOf(path: string): Record<string, string> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return {};
  const names = readdirSync(path, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    names
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]),
  );
}

interface Bad {
  what: string;
  argv: () => string[];
  code: FailureCode;
  says: RegExp;
  env?: Record<string, string>;
}

const option = (given: string, says: RegExp, code: FailureCode = 'bad-option'): Bad => ({
  what: `option ${given}`,
  argv: () => ['train', '--data', 'synthetic', ...given.split(' ')],
  code,
  says,
});

const file = (what: string, text: string | Uint8Array, says: RegExp): Bad => ({
  what: `a file of options that ${what}`,
  argv: () => [
    'train',
    '--data',
    'synthetic',
    '--config',
    join(folder({ 'a.yaml': text }), 'a.yaml'),
  ],
  code: 'bad-config',
  says,
});

const data = (
  what: string,
  make: () => string,
  says: RegExp,
  code: FailureCode = 'data-empty',
): Bad => ({ what, argv: () => ['data', 'inspect', make()], code, says });

const resumed = (
  what: string,
  harm: (run: string) => void,
  says: RegExp,
  code: FailureCode,
): Bad => ({
  what,
  argv: () => ['coordinator', ...method, '--run', harmed(harm)],
  code,
  says,
});

const digest = (
  what: string,
  harm: (run: string) => void,
  says: RegExp,
  code: FailureCode,
): Bad => ({
  what,
  argv: () => ['digest', harmed(harm)],
  code,
  says,
});

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
};
const tar = tarOf([{ name: 'a.jpg', data: jpeg }]);
const records = tfrecordOf([exampleOf({ image: jpeg, label: 1 })]);

const table: Bad[] = [
  option('--batch 1e3x', /--batch expects a whole number from 2/),
  option('--batch 0', /--batch expects a whole number from 2 to 1048576, not "0"/),
  option('--batch 130', /not a multiple of the micro-batch of 32: use a batch of 128 or 160/),
  option('--micro-batch 1', /--micro-batch expects a whole number from 2/),
  option('--size 4', /--size expects a whole number from 8 to 1024/),
  option('--size 16', /resnet18 needs views of at least 32 pixels.*resnet18-cifar/),
  option('--seed 1.5', /--seed expects a whole number/),
  option('--seed 9007199254740993', /--seed expects a whole number from 0 to/),
  option('--learning-rate 0', /--learning-rate expects a number above 0/),
  option('--learning-rate NaN', /--learning-rate expects a number above 0/),
  option('--weight-decay 2', /--weight-decay expects a number from 0, at most 1/),
  option('--validation 1', /--validation expects a number from 0, at most 0.9/),
  option('--validation -0.1', /--validation expects a number from 0/),
  option('--precision bf61', /one of f32, tf32, bf16.*Did you mean "bf16"/),
  option('--precision bf16 --backend wasm', /bf16 needs TensorFlow.*use precision f32/),
  option('--model resnet81', /--model expects one of.*Did you mean "resnet18"/),
  option('--workers 0', /--workers expects a whole number from 1 to 256/),
  option('--min-workers 3 --workers 2', /would wait for ever/),
  option('--epochs 0', /--epochs expects a whole number from 1/),
  option('--steps 5 --epochs 5', /give one of them/),
  option('--stop-at 0', /--stop-at expects a whole number from 1/),
  option('--nats http://a/b?c', /the address of a NATS server, such as nats:/),
  option('--listen 7070', /HOST:PORT, such as 127.0.0.1:7070/),
  option('--listen 127.0.0.1:99999', /HOST:PORT/),
  option('--listen 0.0.0.0:7070', /add --insecure/, 'insecure-listen'),
  option('--data synthetic:0', /synthetic:COUNT with a whole number from 1/),
  option('--data synthetic:lots', /found synthetic:lots/),
  option('--json=yes', /json/),
  {
    what: 'an empty --data',
    argv: () => ['train', '--data', ''],
    code: 'bad-option',
    says: /--data expects a path/,
  },

  file('quotes a number', 'batch: "64"\n', /a.yaml:1: batch expects a whole number.*not "64"/),
  file('nests', 'batch:\n  size: 64\n', /a.yaml:1: batch expects a whole number/),
  file('has a tab', 'batch: 64\n\tseed: 1\n', /a.yaml:2: this is not valid YAML/),
  file('misspells', 'bacth: 64\n', /unknown option "bacth". Did you mean "batch"/),
  file('is a list', '- batch\n', /expected lines such as/),
  file('has two lengths', 'epochs: 1\nsteps: 2\n', /a.yaml:2: epochs and steps both say/),
  file('has two megabytes', `seed: 1\n#${'x'.repeat(2 << 20)}\n`, /at most 1048576/),
  file('is an image', jpeg, /not valid YAML|expected lines such as/),

  data('a folder that is not there', () => join(base, 'absent'), /no folder/, 'data-missing'),
  data('an empty folder', () => folder(), /found an empty folder/),
  data(
    'a folder of texts',
    () => folder({ 'a.txt': 'x' }),
    /no image among 1 entry: a.txt \(not an image by its name\)/,
  ),
  data(
    'a file in place of a folder',
    () => join(folder({ 'a.jpg': jpeg }), 'a.jpg'),
    /a file that is no archive of a known kind/,
    'data-missing',
  ),
  data('a folder of hidden files', () => folder({ '.a.jpg': jpeg }), /hidden/),
  data(
    'a folder of links that lead out',
    () => {
      const made = folder();
      symlinkSync(join(folder({ 'a.jpg': jpeg }), 'a.jpg'), join(made, 'a.jpg'));
      return made;
    },
    /leads out of the folder/,
  ),
  data(
    'links in a circle',
    () => {
      const made = folder();
      symlinkSync(made, join(made, 'again'));
      return made;
    },
    /a symbolic link to a folder above it/,
  ),
  {
    what: 'fewer images than a batch',
    argv: () => ['coordinator', ...method, '--data', folder({ 'a.jpg': jpeg, 'b.jpg': jpeg })],
    code: 'bad-option',
    says: /a global batch of 4 images is more than the 2 of the data set: use --batch 2 or less/,
  },
  {
    what: 'fewer images than a batch once some are held out',
    argv: () => ['coordinator', ...small, '--data', 'synthetic:5', '--validation', '0.4'],
    code: 'bad-option',
    says: /more than the 3 that are not held out: use --batch 2/,
  },

  ...(
    [
      ['no bytes', '', /an empty file/],
      ['a text', 'not an image', /first bytes are not those of/],
      ['a drawing', '<svg xmlns="x" width="8" height="8"/>', /first bytes are not those of/],
      ['a TIFF', await sharp(jpeg).tiff().toBuffer(), /first bytes are not those of/],
      ['a header cut short', jpeg.subarray(0, 25), /its header does not read as jpeg/],
    ] as const
  ).map(([what, bytes, says]) =>
    data(`an image that is ${what}`, () => folder({ 'a.jpg': bytes }), says),
  ),

  data(
    'a tar cut short',
    () => folder({ 'a.tar': tar.subarray(0, 600) }),
    /damaged at byte 0: a member of \d+ bytes, and 88 are left. Fetch it again/,
    'data-damaged',
  ),
  data(
    'a tar with a flipped bit',
    () => folder({ 'a.tar': flipped(tar, 2) }),
    /a header whose checksum fails/,
    'data-damaged',
  ),
  data(
    'a compressed tar by the wrong name',
    () => folder({ 'a.tar': Buffer.concat([Buffer.from([31, 139, 8]), tar]) }),
    /compressed: gunzip it first/,
    'data-damaged',
  ),
  data('a compressed tar', () => folder({ 'a.tar.gz': 'x' }), /unpack it/),
  data('an empty tar', () => folder({ 'a.tar': '' }), /found no record/),
  data(
    'TFRecords with a flipped bit',
    () => folder({ 'a.tfrecord': flipped(records, 100) }),
    /byte 12: a record whose checksum fails/,
    'data-damaged',
  ),
  data(
    'TFRecords cut short',
    () => folder({ 'a.tfrecord': records.subarray(0, 40) }),
    /ends within a record/,
    'data-damaged',
  ),
  data(
    'TFRecords of something else',
    () => folder({ 'a.tfrecord': tfrecordOf([exampleOf({ text: 'x' })]) }),
    /no field "image"/,
  ),
  data(
    "CIFAR's file of another length",
    () => folder({ 'data_batch_1.bin': Buffer.alloc(3072) }),
    /whole CIFAR records of 3073 bytes, found 3072/,
    'data-damaged',
  ),

  digest(
    'a run without checkpoints',
    (run) => rmSync(join(run, 'checkpoints'), { recursive: true }),
    /has no checkpoint yet/,
    'run-missing',
  ),
  digest(
    'checkpoints that are all cut short',
    (run) => [0, 2].forEach((step) => truncateSync(model(run, step), 5)),
    /no checkpoint of .* is whole \(2 looked at\)/,
    'checkpoint-damaged',
  ),
  digest(
    'checkpoints without a model',
    (run) => [0, 2].forEach((step) => rmSync(model(run, step))),
    /no checkpoint .* is whole/,
    'checkpoint-damaged',
  ),
  digest(
    'manifests that are no JSON',
    (run) =>
      [0, 2].forEach((step) =>
        writeFileSync(join(dirname(model(run, step)), 'manifest.json'), '{'),
      ),
    /no checkpoint .* is whole/,
    'checkpoint-damaged',
  ),

  resumed(
    'a ledger with a changed record',
    (run) => rewrite(join(run, 'ledger.jsonl'), (text) => text.replace('"step":0', '"step":7')),
    /record 1 does not hold.*Nothing was changed/,
    'ledger-damaged',
  ),
  resumed(
    'a ledger with a line that is no JSON',
    (run) => rewrite(join(run, 'ledger.jsonl'), (text) => `garbage\n${text}`),
    /record 1 does not hold: it is not JSON/,
    'ledger-damaged',
  ),
  resumed(
    'a ledger with a record too many',
    (run) => rewrite(join(run, 'ledger.jsonl'), (text) => text + text.split('\n')[0] + '\n'),
    /record 3 does not hold/,
    'ledger-damaged',
  ),
  resumed(
    'a sample list cut short',
    (run) => truncateSync(join(run, 'samples.jsonl'), 300),
    /sample list/,
    'bad-message',
  ),
  resumed(
    'a sample list with an image too many',
    (run) => rewrite(join(run, 'samples.jsonl'), (text) => text + text.split('\n')[0] + '\n'),
    /is not the sample list with which the run began/,
    'data-changed',
  ),
  resumed(
    'a run.json that is no JSON',
    (run) => writeFileSync(join(run, 'run.json'), '{'),
    /run.json is not a run of this release/,
    'run-missing',
  ),
  {
    what: 'another method on an old run',
    argv: () => ['coordinator', ...method, '--seed', '5', '--run', harmed(() => undefined)],
    code: 'other-method',
    says: /seed is 1 in the run and 5 here.*another --run/,
  },
  {
    what: 'a share held out of an old run',
    argv: () => ['coordinator', ...method, '--validation', '0.2', '--run', harmed(() => undefined)],
    code: 'other-method',
    says: /validation is absent in the run and 0.2 here/,
  },

  {
    what: 'a port that is taken',
    argv: () => ['coordinator', ...method, '--run', folder(), '--listen', `127.0.0.1:${port}`],
    code: 'address-in-use',
    says: /cannot listen on 127.0.0.1:\d+.*choose another --listen/,
  },
  {
    what: 'an address of another machine',
    argv: () => [
      'coordinator',
      ...method,
      '--run',
      folder(),
      '--listen',
      '203.0.113.7:0',
      '--insecure',
    ],
    code: 'address-in-use',
    says: /cannot listen on 203.0.113.7:0/,
  },
  {
    what: 'a run folder where nothing can be made',
    argv: () => ['coordinator', ...method, '--run', '/proc/tandem/run'],
    code: 'disk',
    says: /cannot make the run folder .*Choose another --run/,
  },
  {
    what: 'train into a run folder where nothing can be made',
    argv: () => ['train', ...method, '--run', '/proc/tandem/run'],
    code: 'disk',
    says: /cannot make the run folder .*[Aa]nother --run/,
  },
  {
    what: 'a run folder that is a file',
    argv: () => ['train', ...method, '--run', join(folder({ run: 'x' }), 'run')],
    code: 'disk',
    says: /cannot make the run folder/,
  },
  {
    what: 'a picture into a folder that is not there',
    argv: () => ['data', 'preview', '--data', 'synthetic:4', '--out', join(base, 'no', 'a.png')],
    code: 'bad-option',
    says: /--out .* no folder/,
  },
  {
    what: 'a config print of what a run would refuse',
    argv: () => ['config', 'print', '--data', 'synthetic:100'],
    code: 'bad-option',
    says: /more than the 100 of the data set: use --batch 96 or less/,
  },
  {
    what: 'an address in the environment that is none',
    argv: () => ['status'],
    env: { TANDEM_COORDINATOR: 'everywhere' },
    code: 'bad-option',
    says: /HOST:PORT, such as 127.0.0.1:7070, not "everywhere"/,
  },
  {
    what: 'a coordinator.json that is garbage',
    argv: () => ['worker', '--run', folder({ 'coordinator.json': 'garbage' })],
    code: 'coordinator-unreachable',
    says: /no coordinator lives in/,
  },
  {
    what: 'a folder that is no run',
    argv: () => ['watch', folder({ 'a.txt': 'x' })],
    code: 'run-missing',
    says: /neither events.jsonl nor checkpoints/,
  },
  {
    what: 'an unknown shell',
    argv: () => ['completion', 'fihs'],
    code: 'bad-option',
    says: /no completion for "fihs". Did you mean "fish"/,
  },
  {
    what: 'an unknown public data set',
    argv: () => ['data', 'get', 'flower', '--to', 'x'],
    code: 'bad-option',
    says: /no data set "flower" is known. Did you mean "flowers"/,
  },
];

test('the table has at least 60 kinds of bad input, each once', () => {
  assert.ok(table.length >= 60, `${table.length}`);
  assert.equal(new Set(table.map(({ what }) => what)).size, table.length);
});

for (const { what, argv, code, says, env } of table) {
  test(`${what}: ${code}`, async () => {
    const given = argv();
    const own = given.filter((word) => word.startsWith(base));
    const kept = own.map(filesOf);
    const { code: exit, err } = await command(given, env);
    assert.equal(exit, failures[code].exit, err);
    const lines = err.trimEnd().split('\n');
    const line = lines.at(-1) ?? '';
    assert.match(line, says);
    assert.ok(line.startsWith('tandem: ') && line.endsWith(`(${code})`), line);
    assert.doesNotMatch(err, /\n\s+at /, 'no stack');
    own.forEach((path, i) => {
      const now = filesOf(path);
      for (const [name, hash] of Object.entries(kept[i] ?? {})) {
        // What an owner of the folder rewrites whole, line by line, is compared by the e2e tests; a
        // file with the number of a generation is a second name of the same lines.
        const rewritten = name.endsWith('events.jsonl') || /\.jsonl\.\d+$/.test(name);
        if (!rewritten) assert.equal(now[name], hash, `${name} changed`);
      }
    });
  });
}

test('train says what its coordinator refused once, and leaves no empty folder behind', async () => {
  const run = join(base, 'never-begun');
  const { code, out, err } = await command(['train', '--data', 'synthetic:100', '--run', run]);
  assert.equal(code, 64);
  assert.equal(`${out}${err}`.split('use --batch 96 or less').length, 2);
  assert.equal(statSync(run, { throwIfNoEntry: false }), undefined);
});

test('odd but good: these images are taken, not refused', async () => {
  const noise = await sharp({
    create: {
      width: 32,
      height: 20,
      channels: 3,
      background: '#555',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  })
    .png()
    .toBuffer();
  const frames = Buffer.concat([await sharp(noise).raw().toBuffer(), Buffer.alloc(32 * 20 * 3, 9)]);
  const animated = await sharp(frames, {
    raw: { width: 32, height: 40, channels: 3, pageHeight: 20 },
  })
    .gif()
    .toBuffer();
  const root = folder({
    'animated.gif': animated,
    'cmyk.jpg': await sharp(noise).toColourspace('cmyk').jpeg().toBuffer(),
    'deep.png': await sharp(noise).toColourspace('rgb16').png().toBuffer(),
    'turned.jpg': await sharp(noise).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    'really-a-png.jpg': noise,
    'e\u0301te\u0301.jpg': jpeg,
    'two.jpg': jpeg,
    'cut-pixels.png': noise.subarray(0, noise.length - 200),
  });
  const { code, out } = await command(['data', 'inspect', root, '--json']);
  assert.equal(code, 0);
  const report = JSON.parse(out);
  assert.equal(report.images, 8);
  assert.deepEqual(report.leftOut, []);
  assert.deepEqual(report.duplicates.examples, [['two.jpg', '\u00e9t\u00e9.jpg']]);
});

test('an image of 60,000 × 60,000 pixels and one too many by name: left out and said', async () => {
  const png = await sharp(jpeg).png().toBuffer();
  const huge = Buffer.from(png);
  huge.writeUInt32BE(60_000, 16);
  huge.writeUInt32BE(60_000, 20);
  const { crc32 } = await import('node:zlib');
  huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29);
  const root = folder({
    'a.jpg': jpeg,
    'huge.png': huge,
    'e\u0301.jpg': jpeg,
    '\u00e9.jpg': jpeg,
    'notes.md': 'x',
  });
  const { out } = await command(['data', 'inspect', root, '--json']);
  const reasons = Object.fromEntries(
    JSON.parse(out).leftOut.map((l: { reason: string; files: number }) => [l.reason, l.files]),
  );
  assert.equal(reasons['more pixels than 100000000'], 1);
  assert.equal(reasons['the same name as another file, in another Unicode form'], 1);
});

test('a run whose events are partly garbage still tells where it stands', async () => {
  const run = harmed((copy) => appendFileSync(join(copy, 'events.jsonl'), 'garbage\n{"seq":'));
  const { code, out } = await command(['status', run, '--json']);
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).step, 2);
});
