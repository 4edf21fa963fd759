/**
 * Training with labels with real processes and TensorFlow: one digest and one ledger at 1, 2 and 3
 * workers; its classifier measured; images without classes refused.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Evaluation } from '../../shared/core/evaluation.ts';
import { scratch, tandem } from '../support/processes.ts';

const method = [
  ...['--data', 'synthetic:80', '--size', '32', '--seed', '3', '--validation', '0.2'],
  ...['--batch', '16', '--micro-batch', '4', '--steps', '3'],
];

describe('supervised training keeps the promise', { timeout: 600_000 }, () => {
  it('one digest at 1, 2 and 3 workers, and a classifier that can be measured', async (t) => {
    const base = scratch(t);
    const ledger = (run: string) => readFileSync(join(base, run, 'ledger.jsonl'));
    const trained = async (run: string, workers: number): Promise<string> => {
      const args = [...method, '--run', join(base, run), '--workers', String(workers), '--json'];
      const out = await tandem(t, ['supervised', ...args]);
      const { digest, loss } = JSON.parse(out.trim().split('\n').at(-1) ?? '');
      assert.ok(loss > 0, 'cross-entropy');
      return digest as string;
    };
    const one = await trained('one', 1);
    assert.equal(await trained('two', 2), one);
    assert.equal(await trained('three', 3), one);
    assert.ok(ledger('two').equals(ledger('one')) && ledger('three').equals(ledger('one')));
    const { method: kept } = JSON.parse(readFileSync(join(base, 'one', 'run.json'), 'utf8'));
    assert.equal(kept.objective, 'supervised');
    assert.equal(kept.classes.length, 8);

    const args = ['classifier', join(base, 'one'), '--workers', '1', '--json'];
    const out = await tandem(t, ['eval', ...args]);
    const evaluation = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Evaluation;
    assert.deepEqual([evaluation.kind, evaluation.n, evaluation.digest], ['classifier', 16, one]);
    assert.match(await tandem(t, ['verify', join(base, 'one')]), /every claim holds/);
  });
});
