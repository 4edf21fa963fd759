/** A run that holds images out: begun, resumed, refused with another share. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRun } from '../../../coordinator/shell/open-run.ts';
import { parseConfig } from '../../../shared/core/config.ts';
import { Failure } from '../../../shared/core/failures.ts';
import { command } from '../../support/command.ts';
import { trainExactly } from '../../support/exact-training.ts';

test('held-out images are in the list and its fingerprint, never in a step, also after a resume', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-split-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const options = { data: 'synthetic:20', validation: 0.3, seed: 9 };
  const runs = ['whole', 'resumed'].map((name) => join(folder, name));
  const whole = await trainExactly({ options: { ...options, run: runs[0]!, steps: 4 } });
  const halves: Record<string, string | number>[] = [{ 'stop-at': 2 }, {}];
  let digest = '';
  for (const half of halves) {
    const resumed = { ...options, run: runs[1]!, steps: 4, ...half };
    ({ digest } = await trainExactly({ options: resumed }));
  }
  assert.equal(digest, whole.digest);
  const [one, other] = runs.map((run) => readFileSync(join(run, 'ledger.jsonl'), 'utf8'));
  assert.equal(one, other);
  const opened = readFileSync(join(runs[0]!, 'events.jsonl'), 'utf8').split('\n')[0]!;
  assert.equal(JSON.parse(opened).images, 14);
  const list = readFileSync(join(runs[0]!, 'samples.jsonl'), 'utf8').trim().split('\n');
  assert.equal(list.length, 20);

  const verified = await command(['verify', runs[1]!]);
  assert.equal(verified.code, 0, verified.out + verified.err);

  const values = { model: 'resnet18-cifar', size: '8', batch: '4', 'micro-batch': '2', steps: '4' };
  const config = (validation: string) => ({
    ...parseConfig([
      {
        source: 'flag',
        values: { ...values, data: 'synthetic:20', seed: '9', validation },
      },
    ]).config,
    run: runs[0]!,
  });
  const signal = new AbortController().signal;
  const again = await openRun(config('0.3'), () => undefined, signal);
  assert.equal(again.samples.length, 14);
  assert.equal(again.heldOut.length, 6);
  const paths = [...again.samples, ...again.heldOut].map((s) => s.path).toSorted();
  assert.deepEqual(paths, list.map((line) => JSON.parse(line).path).toSorted());
  await assert.rejects(
    openRun(config('0.2'), () => undefined, signal),
    (error: unknown) =>
      error instanceof Failure && error.code === 'other-method' && /validation/.test(error.message),
  );
});
