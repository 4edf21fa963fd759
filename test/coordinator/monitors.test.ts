/**
 * Monitors on and off give one digest and one ledger, byte for byte; what they measure is told.
 */
import '../support/use-small-model.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RunEvent } from '../../shared/core/events.ts';

const { labelledPhotographs, smallRun } = await import('../support/small-run.ts');
const { emptySummary, fold } = await import('../../shared/core/summary.ts');

test('monitors disturb nothing: one digest, one ledger, also through a stop', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'tandem-monitors-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const data = await labelledPhotographs(join(base, 'data'), 80, ['aster', 'rose']);
  const ledger = (run: string) => readFileSync(join(base, run, 'ledger.jsonl'));
  const trained = (run: string, some: Record<string, string | number>, workers: number) =>
    smallRun({ data, steps: 6, run: join(base, run), ...some }, workers);
  const plain = await trained('plain', {}, 1);
  await trained('watched', { 'monitor-every': 2, 'stop-at': 4 }, 2);
  const watched = await trained('watched', { 'monitor-every': 1 }, 2);
  assert.equal(watched.digest, plain.digest);
  assert.ok(ledger('watched').equals(ledger('plain')), 'the ledgers differ');

  const lines = readFileSync(join(base, 'watched', 'events.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const events = lines.map((line) => JSON.parse(line) as RunEvent);
  const measured = events.filter((event) => event.kind === 'knn-measured');
  assert.deepEqual(
    measured.map((event) => event.step),
    [0, 2, 4, 5, 6],
  );
  for (const { stdRatio, queries } of measured) {
    assert.ok(stdRatio !== undefined && stdRatio > 0 && queries === 12);
  }
  const summary = events.reduce(fold, emptySummary);
  assert.equal(summary.knnHistory.length, 5);
  assert.ok((summary.knnAfter?.stdRatio ?? 0) > 0);
});
