/**
 * Reading a run folder: following its events while they grow, its digest, its status, its config.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../../cli/command.ts';
import { configYaml } from '../../coordinator/shell/config-yaml.ts';
import { followEvents } from '../../cli/follow.ts';
import { subjectOf } from '../../cli/follow-nats.ts';
import type { Io } from '../../cli/io.ts';
import { run as tandem } from '../../cli/main.ts';
import { chanceOf, makeRunFolder, summaryOf } from '../../cli/run-folder.ts';
import { parseConfig } from '../../shared/core/config.ts';
import type { EventBody, RunEvent } from '../../shared/core/events.ts';

const base = mkdtempSync(join(tmpdir(), 'tandem-run-'));
after(() => rmSync(base, { recursive: true, force: true }));

function runFolder(name: string): string {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function line(seq: number, body: EventBody = { kind: 'worker-left', worker: 'é' }): string {
  const stamp = { seq, time: '2026-01-01T12:00:00.000Z', step: 3, because: 'told' };
  return `${JSON.stringify({ ...stamp, ...body })}\n`;
}

const done: EventBody = {
  kind: 'run-done',
  stopped: false,
  loss: -0.5,
  std: 0.02,
  digest: 'd',
  checkpoint: 'c',
};

async function command(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const io: Io = {
    stdout: {
      write: (text) => {
        out += text;
      },
    },
    stderr: {
      write: (text) => {
        err += text;
      },
    },
    env: {},
  };
  return { code: await tandem(argv, io), out, err };
}

async function numbers(events: AsyncIterable<RunEvent>): Promise<number[]> {
  const seen: number[] = [];
  for await (const event of events) seen.push(event.seq);
  return seen;
}

test('a growing file is followed to the end of the run, over lines written in pieces', async () => {
  const run = runFolder('grows');
  const events = join(run, 'events.jsonl');
  writeFileSync(
    join(run, 'coordinator.json'),
    JSON.stringify({ address: 'a:1', pid: process.pid }),
  );
  const { signal } = new AbortController();
  const seen = numbers(followEvents({ run, since: 1, signal }));
  writeFileSync(events, line(1) + line(2));
  await sleep(300);
  const bytes = Buffer.from(line(3));
  // Cut inside the two bytes of é.
  const cut = bytes.indexOf(0xc3) + 1;
  appendFileSync(events, bytes.subarray(0, cut));
  await sleep(300);
  appendFileSync(events, bytes.subarray(cut));
  appendFileSync(events, line(4, done));
  assert.deepEqual(await seen, [2, 3, 4]);
});

test('a run that was stopped and resumed is followed past its first end', async () => {
  const run = runFolder('resumed');
  writeFileSync(join(run, 'events.jsonl'), line(1) + line(2, done) + line(3) + line(4, done));
  const { signal } = new AbortController();
  assert.deepEqual(await numbers(followEvents({ run, since: 0, signal })), [1, 2, 3, 4]);
});

test('a file replaced by a copy of itself, as each generation does, is followed on', async () => {
  const run = runFolder('replaced');
  const events = join(run, 'events.jsonl');
  writeFileSync(events, line(1) + line(2));
  const abort = new AbortController();
  const seen = numbers(followEvents({ run, since: 0, signal: abort.signal, wait: true }));
  await sleep(300);
  copyFileSync(events, `${events}.new`);
  renameSync(`${events}.new`, events);
  appendFileSync(events, line(3));
  await sleep(500);
  abort.abort();
  assert.deepEqual(await seen, [1, 2, 3]);
});

test('without a coordinator the following ends by itself, and a torn last line is left out', async () => {
  const run = runFolder('left');
  writeFileSync(join(run, 'events.jsonl'), `${line(1)}{"seq":2,"ki`);
  const { signal } = new AbortController();
  assert.deepEqual(await numbers(followEvents({ run, since: 0, signal })), [1]);
});

test('what was written before the signal is still read', async () => {
  const run = runFolder('signal');
  const abort = new AbortController();
  const seen = numbers(followEvents({ run, since: 0, signal: abort.signal, wait: true }));
  await sleep(50);
  writeFileSync(join(run, 'events.jsonl'), line(1) + line(2, done));
  abort.abort();
  assert.deepEqual(await seen, [1, 2]);
});

test('watch prints lines, or the events themselves as JSON', async () => {
  const run = runFolder('watched');
  writeFileSync(join(run, 'events.jsonl'), line(1) + line(2, done));
  const lines = await command('watch', run);
  assert.deepEqual([lines.code, lines.err], [0, '']);
  assert.equal(lines.out, '12:00:00  é left: told\n12:00:00  done at step 3, digest d\n');
  const json = await command('watch', '--run', run, '--json', '--since', '1');
  assert.equal(json.out, line(2, done));
});

test('a subject names one run, and never more than was meant', () => {
  assert.equal(subjectOf('runs/0007'), 'tandem.0007.>');
  assert.equal(subjectOf(undefined), 'tandem.*.>');
  for (const name of ['runs/>', 'a b', 'a.b', '*x'])
    assert.match(subjectOf(name), /^tandem\.[\w-]+\.>$/);
});

function checkpoint(run: string, step: number, content: string, promised?: string): string {
  const folder = join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}`);
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(content).digest('hex');
  writeFileSync(join(folder, 'model.safetensors'), content);
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ digest: promised ?? digest }));
  return digest;
}

test('digest prints the hash of the newest checkpoint', async () => {
  const run = runFolder('digest');
  checkpoint(run, 0, 'first');
  const digest = checkpoint(run, 12, 'twelfth');
  assert.deepEqual(await command('digest', run), { code: 0, out: `${digest}\n`, err: '' });
  const json = JSON.parse((await command('digest', run, '--json')).out);
  assert.deepEqual([json.digest, json.step, json.reproducible], [digest, 12, true]);
});

test('a damaged checkpoint is named and the one before is taken', async () => {
  const run = runFolder('damaged');
  const digest = checkpoint(run, 5, 'fifth');
  checkpoint(run, 9, 'ninth', 'f'.repeat(64));
  const folder = join(run, 'checkpoints', 'step-00000012');
  mkdirSync(folder);
  const { code, out, err } = await command('digest', run);
  assert.deepEqual([code, out], [0, `${digest}\n`]);
  assert.match(err, /step-00000012 is damaged: its manifest.json cannot be read/);
  assert.match(err, /step-00000009 is damaged: its bytes hash to .*Taking the one before/);
});

test('no whole checkpoint is an error with its own code', async () => {
  const run = runFolder('ruined');
  checkpoint(run, 9, 'ninth', 'f'.repeat(64));
  const { code, err } = await command('digest', run);
  assert.equal(code, 65);
  assert.match(err, /no checkpoint of .* is whole \(1 looked at\).*\(checkpoint-damaged\)/);
});

test('a run marked not reproducible says so with its digest', async () => {
  const run = runFolder('mixed');
  checkpoint(run, 1, 'one');
  writeFileSync(join(run, 'run.json'), JSON.stringify({ reproducible: false }));
  assert.match((await command('digest', run)).err, /not reproducible/);
});

test('status of a run without a coordinator comes from its events', async () => {
  const run = runFolder('resting');
  writeFileSync(join(run, 'events.jsonl'), line(1) + line(2, done));
  const status = JSON.parse((await command('status', run, '--json')).out);
  assert.deepEqual([status.state, status.loss, status.workers], ['done', -0.5, []]);
  assert.match((await command('status', run)).out, /no workers\n$/);
});

test('new run folders are numbered and never shared', () => {
  const runs = join(base, 'numbered');
  assert.equal(makeRunFolder(runs), join(runs, '0001'));
  mkdirSync(join(runs, '0007'));
  mkdirSync(join(runs, 'mine'));
  assert.deepEqual(
    [makeRunFolder(runs), makeRunFolder(runs)],
    [join(runs, '0008'), join(runs, '0009')],
  );
});

test("a resumed run takes its own config over, but not an earlier call's stop or address", () => {
  const run = runFolder('config');
  const given = { data: '.', batch: 64, 'stop-at': 5, listen: '127.0.0.1:9999', json: true };
  const { config } = parseConfig([{ source: 'flag', values: given }]);
  writeFileSync(join(run, 'config.yaml'), configYaml(config));
  const resumed = readConfig({ run, workers: '3' }).config;
  assert.deepEqual([resumed.data, resumed.batch, resumed.workers], ['.', 64, 3]);
  assert.deepEqual([resumed.stopAt, resumed.listen, resumed.json], [null, '127.0.0.1:0', false]);
});

test('guessing is measured by the largest class', async () => {
  const run = runFolder('classes');
  const samples = ['a', 'a', 'a', 'b'].map((label, index) => JSON.stringify({ index, label }));
  writeFileSync(join(run, 'samples.jsonl'), samples.join('\n'));
  assert.deepEqual(await chanceOf(run), { classes: 2, share: 0.75 });
  assert.equal(await chanceOf(join(base, 'nowhere')), null);
});

test('events of a folder fold to a summary, and a folder without any to the empty one', async () => {
  const run = runFolder('folded');
  assert.equal((await summaryOf(run)).seq, 0);
  writeFileSync(join(run, 'events.jsonl'), line(1) + line(2, done));
  assert.equal((await summaryOf(run)).state, 'done');
});

test('a finished run prints its result again without training', async () => {
  const run = runFolder('finished');
  writeFileSync(join(run, 'events.jsonl'), line(1) + line(2, done));
  const { code, out, err } = await command('train', '--data', '.', '--run', run, '--json');
  assert.equal(code, 0);
  const last = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '');
  assert.deepEqual([last.loss, last.digest], [-0.5, 'd']);
  assert.equal(resolve(last.checkpoint), join(run, 'c'));
  assert.match(err, /is finished; this is its result/);
});
