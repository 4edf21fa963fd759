/**
 * A disk on which nothing large can be written (the system's limit on the size of a file): the run
 * goes on with warnings as long as its ledger grows, keeps what was good, and ends the same later.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { trainExactly } from '../support/exact-training.ts';
import { exactWorker } from '../support/exact-worker.ts';
import { scratch } from '../support/processes.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const options = { data: 'synthetic:16', steps: 6, 'checkpoint-every': 2 };
/** Blocks of 1 KiB: far below a checkpoint, far above ledger and events. */
const blocksMax = 1024;

test('checkpoints and warm slots that cannot be written cost no step; the end is the same', async (t) => {
  const folder = scratch(t);
  const whole = await trainExactly({ options: { ...options, run: join(folder, 'whole') } });
  const run = join(folder, 'full');
  await trainExactly({ options: { ...options, run, 'stop-at': 2 } });

  const flags = Object.entries({ ...options, run, model: 'resnet18-cifar', size: 8, batch: 4 });
  const args = [...flags.map(([name, value]) => `--${name}=${value}`), '--micro-batch=2'];
  const script = `ulimit -f ${blocksMax}; exec "$0" "$@"`;
  const child = spawn('bash', ['-c', script, process.execPath, bin, 'coordinator', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const over = new AbortController();
  let out = '';
  let err = '';
  let worker: Promise<void> = Promise.resolve();
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const known = /listening on (\S+?),/.exec(out) !== null;
    out += text;
    const address = /listening on (\S+?),/.exec(out)?.[1];
    if (!known && address !== undefined) worker = exactWorker(address, over.signal);
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  over.abort();
  await worker;

  assert.equal(code, 74, err + out);
  assert.match(err, /EFBIG.*Free space or check the disk, then resume the run \(disk\)/);
  assert.doesNotMatch(err, /\n\s+at /);
  const ledger = readFileSync(join(run, 'ledger.jsonl'), 'utf8');
  assert.equal(ledger, readFileSync(join(folder, 'whole', 'ledger.jsonl'), 'utf8'));
  const events = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
  const warnings = events.map((line) => JSON.parse(line)).filter((e) => e.kind === 'warning');
  assert.ok(warnings.some((e) => /the checkpoint of step 4 could not be written/.test(e.message)));
  assert.ok(warnings.some((e) => /the warm slot could not be written/.test(e.message)));
  const kept = readdirSync(join(run, 'checkpoints')).sort();
  assert.deepEqual(kept, ['step-00000000', 'step-00000002'], 'nothing unfinished is left');

  const { digest } = await trainExactly({ options: { ...options, run } });
  assert.equal(digest, whole.digest);
});
