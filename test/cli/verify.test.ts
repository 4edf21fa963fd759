/**
 * `tandem verify`: a run that was stopped, resumed, rewound and fed a broken image is proven from
 * its folder alone; one change of each kind to a copy of that folder is found and named.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Claim } from '../../shared/core/verify-claims.ts';
import type { LedgerRecord } from '../../shared/core/ledger.ts';
import '../support/use-small-model.ts';

// After the small model has taken its place.
const { smallRun, tinyPhotographs } = await import('../support/small-run.ts');
const { sealRecord, recordLine } = await import('../../shared/core/ledger.ts');
const { verifyRun } = await import('../../cli/verify-run.ts');
const { run: tandem } = await import('../../cli/main.ts');

const base = mkdtempSync(join(tmpdir(), 'tandem-verify-'));
after(() => rmSync(base, { recursive: true, force: true }));
const whole = join(base, 'whole');
const steps = 12;
/** This one cannot be decoded. */
const brokenImage = 11;

const read = (folder: string, name: string): string => readFileSync(join(folder, name), 'utf8');
const linesOf = (folder: string, name: string): string[] =>
  read(folder, name).trimEnd().split('\n');
const writeLines = (folder: string, name: string, lines: readonly string[]): void =>
  writeFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''));
const sha256 = (data: string | Uint8Array): string =>
  createHash('sha256').update(data).digest('hex');

const verify = (folder: string) => verifyRun(folder, new AbortController().signal, () => undefined);

before(async () => {
  const data = await tinyPhotographs(join(base, 'data'), 30, [brokenImage]);
  const options = { data, steps, run: whole, 'checkpoint-every': 3 };
  await smallRun({ ...options, 'stop-at': 7 }, 2);
  // The machine lost everything that was not synced, and the last checkpoint with it.
  for (const name of ['warm/slot-0.bin', 'warm/slot-1.bin', 'checkpoints/step-00000007'])
    rmSync(join(whole, name), { recursive: true });
  await smallRun(options, 1);
});

describe('a run folder that nobody touched', () => {
  it('holds in every claim, without its photographs', async () => {
    rmSync(join(base, 'data'), { recursive: true });
    const report = await verify(whole);
    assert.deepEqual(report.faults, []);
    assert.ok(report.claims.every(({ holds }) => holds === true));
    assert.deepEqual(report.notes, []);
    const text = (claim: Claim) => report.claims.find((row) => row.claim === claim)?.text ?? '';
    assert.match(text('chain'), /^12 records/);
    assert.match(
      text('order'),
      /^48 micro-batches.*96 images, [34] of them mid-gray.*3 whole epochs/,
    );
    assert.match(text('events'), /1 rewind with 1 step told again/);
    assert.match(text('generations'), /^2 lives/);
    assert.match(text('checkpoints'), /^of step 0, 6, 9, 12:/);
    assert.match(text('warm slots'), /^of step 11, 12$/);
  });

  it('holds while it trains, as far as the ledger goes', async () => {
    const folder = join(base, 'live');
    cpSync(whole, folder, { recursive: true });
    writeFileSync(join(folder, 'coordinator.json'), '{"address":"127.0.0.1:1","pid":1}');
    writeLines(folder, 'ledger.jsonl', linesOf(folder, 'ledger.jsonl').slice(0, 10));
    // All but run-done.
    writeLines(folder, 'events.jsonl', linesOf(folder, 'events.jsonl').slice(0, -1));
    const report = await verify(folder);
    assert.deepEqual([report.first, report.steps], [null, 10]);
  });

  it('is told to people as a table and to programs as JSON, with exit code 0', async () => {
    const told = await command('verify', whole);
    assert.equal(told.code, 0, told.err);
    assert.match(told.out, /CLAIM.*\n(.* holds .*\n){9}\nevery claim holds up to step 12\n/);
    const json = await command('verify', whole, '--json');
    assert.equal(JSON.parse(json.out).first, null);
  });
});

async function command(...argv: string[]) {
  const texts = { out: '', err: '' };
  const code = await tandem(argv, {
    stdout: { write: (text) => void (texts.out += text) },
    stderr: { write: (text) => void (texts.err += text) },
    env: {},
  });
  return { code, ...texts };
}

/** Changes a ledger's records and gives them a chain that holds again. */
function forge(folder: string, change: (records: LedgerRecord[]) => void): void {
  const records = linesOf(folder, 'ledger.jsonl').map((line) => JSON.parse(line) as LedgerRecord);
  change(records);
  let previous = JSON.parse(read(folder, 'run.json')).identity as string;
  const sealed = records.map((old, step) => {
    const { hash, ...body } = { ...old, step, previous };
    assert.equal(hash.length, 64);
    const record = sealRecord(body, sha256);
    previous = record.hash;
    return recordLine(record);
  });
  writeLines(folder, 'ledger.jsonl', sealed);
}

const at = <T>(list: readonly T[], index: number): T => {
  const value = list[index];
  assert.ok(value !== undefined, `${index} of ${list.length}`);
  return value;
};

/** Changes the JSON object of a file. */
function edit(folder: string, name: string, change: (value: never) => void): void {
  const value = JSON.parse(read(folder, name));
  change(value as never);
  writeFileSync(join(folder, name), JSON.stringify(value, null, 2));
}

interface Event {
  seq: number;
  kind: string;
  step: number;
  [field: string]: unknown;
}

/** Changes the list of events; `renumber` hides what is missing. */
function events(
  folder: string,
  change: (list: Event[]) => Event[],
  { renumber = true }: { renumber?: boolean } = {},
): void {
  const list = change(linesOf(folder, 'events.jsonl').map((line) => JSON.parse(line) as Event));
  const lines = list.map((event, i) => JSON.stringify(renumber ? { ...event, seq: i + 1 } : event));
  writeLines(folder, 'events.jsonl', lines);
}
const commitOf = (step: number) => (event: Event) =>
  event.kind === 'step-committed' && event.step === step;

/** Turns one bit over. */
function flip(folder: string, name: string, offset: number): void {
  const bytes = readFileSync(join(folder, name));
  const byte = offset < 0 ? bytes.length + offset : offset;
  bytes[byte] = at([...bytes.subarray(byte, byte + 1)], 0) ^ 1;
  writeFileSync(join(folder, name), bytes);
}

const model = 'checkpoints/step-00000009/model.safetensors';
const manifest = 'checkpoints/step-00000009/manifest.json';

/** Gives a changed checkpoint a manifest that agrees with its bytes. */
function rehash(folder: string): void {
  const digest = sha256(readFileSync(join(folder, model)));
  edit(folder, manifest, (value: { digest: string }) => {
    value.digest = digest;
  });
  events(folder, (list) =>
    list.map((event) =>
      event.checkpoint === 'checkpoints/step-00000009' ? { ...event, digest } : event,
    ),
  );
}

/** Where the data of a tensor begins in the checkpoint. */
function tensorAt(name: string): number {
  const bytes = readFileSync(join(whole, model));
  const length = bytes.readUInt32LE(0);
  return 8 + length + JSON.parse(bytes.toString('utf8', 8, 8 + length))[name].data_offsets[0];
}

type Row = [
  what: string,
  tamper: (folder: string) => void,
  claim: Claim,
  step: number | null,
  why: RegExp,
];

const rows: Row[] = [
  [
    'another seed in run.json',
    (f) =>
      edit(f, 'run.json', (run: { method: { seed: number } }) => {
        run.method.seed = 6;
      }),
    'identity',
    null,
    /method, fingerprint and device class give/,
  ],
  [
    'another device class in run.json',
    (f) =>
      edit(f, 'run.json', (run: { deviceClass: { stages: { sha256: string }[] } }) => {
        at(run.deviceClass.stages, 3).sha256 = 'a'.repeat(64);
      }),
    'identity',
    null,
    /run\.json says/,
  ],
  [
    'a run of another numerics version',
    (f) =>
      edit(f, 'run.json', (run: { method: { numericsVersion: number } }) => {
        run.method.numericsVersion = 1;
      }),
    'identity',
    null,
    /use the release that made it/,
  ],
  [
    'a sample with another hash',
    (f) =>
      writeFileSync(
        join(f, 'samples.jsonl'),
        read(f, 'samples.jsonl').replace(/"sha256":"./, '"sha256":"0'),
      ),
    'samples',
    null,
    /fingerprint/,
  ],
  [
    'two samples exchanged',
    (f) => {
      const [a = '', b = '', ...rest] = linesOf(f, 'samples.jsonl');
      writeLines(f, 'samples.jsonl', [b, a, ...rest]);
    },
    'samples',
    null,
    /fingerprint/,
  ],
  [
    'a record cut out of the ledger',
    (f) =>
      writeLines(
        f,
        'ledger.jsonl',
        linesOf(f, 'ledger.jsonl').filter((_, i) => i !== 4),
      ),
    'chain',
    5,
    /it is step 5 where step 4 belongs/,
  ],
  [
    'a leaf hash changed in the ledger',
    (f) =>
      writeFileSync(
        join(f, 'ledger.jsonl'),
        read(f, 'ledger.jsonl').replace(/("leafHashes":\[")../, '$100'),
      ),
    'chain',
    1,
    /its hash does not hold/,
  ],
  [
    'a forged record: the chain holds, events and checkpoints name the true one',
    (f) =>
      forge(f, (records) => {
        at(records, 8).leafHashes[1] = 'b'.repeat(64);
      }),
    'events',
    9,
    /names record .* the ledger has/,
  ],
  [
    'a space in the ledger',
    (f) =>
      writeFileSync(
        join(f, 'ledger.jsonl'),
        read(f, 'ledger.jsonl').replace('"step":3', '"step": 3'),
      ),
    'chain',
    4,
    /canonical JSON/,
  ],
  [
    'the last records cut off after the run was done',
    (f) => writeLines(f, 'ledger.jsonl', linesOf(f, 'ledger.jsonl').slice(0, 10)),
    'events',
    11,
    /tells of a step that the ledger does not have/,
  ],
  [
    'a micro-batch left out',
    (f) =>
      forge(f, (records) => {
        at(records, 5).inputHashes.pop();
        at(records, 5).leafHashes.pop();
      }),
    'chain',
    6,
    /does not hold 4 micro-batches/,
  ],
  [
    'a micro-batch counted twice',
    (f) =>
      forge(f, (records) => {
        const { inputHashes } = at(records, 5);
        inputHashes[2] = at(inputHashes, 1);
      }),
    'order',
    6,
    /micro-batch 2 must hold .* holds those of micro-batch 1, which would count twice/,
  ],
  [
    'the images of one step used in another',
    (f) =>
      forge(f, (records) => {
        at(records, 7).inputHashes = at(records, 2).inputHashes;
      }),
    'order',
    8,
    /stream positions 56 to 57 .* something else/,
  ],
  [
    'an image that was mid-gray, without the event that says so',
    (f) => events(f, (list) => list.filter(({ kind }) => kind !== 'sample-undecodable')),
    'order',
    4,
    /something else/,
  ],
  [
    'another learning rate',
    (f) =>
      forge(f, (records) => {
        at(records, 3).learningRate.base *= 2;
      }),
    'schedule',
    4,
    /where the schedule gives/,
  ],
  [
    'an event cut out',
    (f) => events(f, (list) => list.filter((_, i) => i !== 6), { renumber: false }),
    'events',
    null,
    /event 7 is missing/,
  ],
  [
    'the event of a commit cut out, and renumbered',
    (f) => events(f, (list) => list.filter((event) => !commitOf(10)(event))),
    'events',
    10,
    /no event tells of it/,
  ],
  [
    'the event of a commit with another loss',
    (f) =>
      events(f, (list) =>
        list.map((event) => (commitOf(11)(event) ? { ...event, loss: -0.9 } : event)),
      ),
    'events',
    11,
    /its loss is -0.9 where the ledger gives/,
  ],
  [
    'a rewind that nobody tells of',
    (f) => events(f, (list) => list.filter(({ kind }) => kind !== 'rewound')),
    'events',
    7,
    /no rewind explains that/,
  ],
  [
    'a rewind to somewhere else',
    (f) =>
      events(f, (list) =>
        list.map((event) => (event.kind === 'rewound' ? { ...event, from: 9 } : event)),
      ),
    'events',
    7,
    /rewinds from step 9 to 6 where the run stood at 7/,
  ],
  [
    'the last events cut off',
    (f) => events(f, (list) => list.slice(0, list.findIndex(commitOf(9)))),
    'events',
    9,
    /no event tells of it nor of 3 after it/,
  ],
  [
    'the file of a life gone',
    (f) => rmSync(join(f, 'generations', at(readdirSync(join(f, 'generations')).sort(), 0))),
    'generations',
    null,
    /none of life 1/,
  ],
  [
    'a life that generations/ does not know',
    (f) => rmSync(join(f, 'generations', at(readdirSync(join(f, 'generations')).sort(), 1))),
    'generations',
    null,
    /life 2 has no file/,
  ],
  [
    'a bit of a weight, with a manifest to match',
    (f) => {
      flip(f, model, tensorAt('encoder.conv1.weight'));
      rehash(f);
    },
    'checkpoints',
    9,
    /its weights hash to/,
  ],
  [
    'a bit of the momentum, with a manifest to match',
    (f) => {
      flip(f, model, tensorAt('momentum.predictor.0.weight'));
      rehash(f);
    },
    'checkpoints',
    9,
    /its momentum hash to/,
  ],
  [
    'a bit of the statistics, with a manifest to match',
    (f) => {
      flip(f, model, tensorAt('encoder.bn1.running_var'));
      rehash(f);
    },
    'checkpoints',
    9,
    /its statistics hash to/,
  ],
  [
    'a word more in the header of a checkpoint',
    (f) => {
      const bytes = readFileSync(join(f, model));
      bytes.write('f', bytes.indexOf('F32'));
      writeFileSync(join(f, model), bytes);
    },
    'checkpoints',
    9,
    /its header is not the one of this model/,
  ],
  [
    'a checkpoint cut short',
    (f) => writeFileSync(join(f, model), readFileSync(join(f, model)).subarray(0, 5000)),
    'checkpoints',
    9,
    /it has 5000 bytes/,
  ],
  [
    'another digest in the manifest',
    (f) =>
      edit(f, manifest, (value: { digest: string }) => {
        value.digest = 'c'.repeat(64);
      }),
    'checkpoints',
    9,
    /its manifest says c/,
  ],
  [
    'a manifest that names another record',
    (f) =>
      edit(f, manifest, (value: { record: string }) => {
        value.record = 'c'.repeat(64);
      }),
    'checkpoints',
    9,
    /its manifest's record is c/,
  ],
  [
    'a checkpoint put in the place of another',
    (f) => {
      rmSync(join(f, 'checkpoints/step-00000009'), { recursive: true });
      cpSync(join(f, 'checkpoints/step-00000012'), join(f, 'checkpoints/step-00000009'), {
        recursive: true,
      });
    },
    'checkpoints',
    9,
    /its manifest's step is 12, by its name it is 9/,
  ],
  [
    'first weights that the seed does not draw',
    (f) => flip(f, 'checkpoints/step-00000000/model.safetensors', tensorAt('predictor.0.weight')),
    'checkpoints',
    0,
    /the seed says/,
  ],
  [
    'a bit of a warm slot',
    (f) => flip(f, 'warm/slot-0.bin', -1),
    'warm slots',
    12,
    /the statistics in warm.slot-0.bin are not those of the ledger/,
  ],
];

describe('one change of each kind is found, named, and ends with an exit code', () => {
  rows.forEach(([what, tamper, claim, step, why], i) =>
    it(what, async () => {
      const folder = join(base, `tampered-${i}`);
      cpSync(whole, folder, { recursive: true });
      tamper(folder);
      const { first, claims } = await verify(folder);
      assert.ok(first !== null, 'nothing was found');
      assert.match(first.why, why);
      assert.equal(first.claim, claim);
      if (step !== null) assert.equal(first.step, step);
      assert.equal(claims.find((row) => row.claim === claim)?.holds, false);
      const told = await command('verify', folder);
      assert.equal(told.code, 65);
      assert.match(told.err, /\(not-verified\)\n$/);
      assert.ok(told.out.includes('BROKEN'), told.out);
    }),
  );
});
