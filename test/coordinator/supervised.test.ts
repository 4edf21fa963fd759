/**
 * Labels through coordinator and worker: one digest at any number of workers, through a stop, and
 * another one where the labels are others; data without classes is refused before anything starts.
 */
import '../support/use-small-model.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const { labelledPhotographs, smallRun, tinyPhotographs } = await import('../support/small-run.ts');

test('supervised runs keep the promise, and labels decide', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'tandem-supervised-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const data = await labelledPhotographs(join(base, 'data'), 40, ['aster', 'poppy', 'rose']);
  const common = { data, steps: 4, objective: 'supervised' };
  const trained = (run: string, some: Record<string, string | number>, workers: number) =>
    smallRun({ ...common, run: join(base, run), ...some }, workers);
  const one = await trained('one', {}, 1);
  await trained('three', { 'stop-at': 2 }, 2);
  assert.equal((await trained('three', {}, 3)).digest, one.digest);
  const { method } = JSON.parse(readFileSync(join(base, 'one', 'run.json'), 'utf8'));
  assert.deepEqual(method.classes, ['aster', 'poppy', 'rose']);

  const simSiam = await smallRun({ ...common, objective: 'simsiam', run: join(base, 'plain') }, 1);
  assert.notEqual(simSiam.digest, one.digest);
  const plain = JSON.parse(readFileSync(join(base, 'plain', 'run.json'), 'utf8'));
  assert.ok(!('classes' in plain.method), 'the method of SimSiam is as it was');

  // The same pictures, sorted otherwise.
  renameSync(join(data, 'poppy'), join(data, 'zinnia'));
  const renamed = await trained('renamed', {}, 1);
  assert.notEqual(renamed.digest, one.digest);

  const bare = await tinyPhotographs(join(base, 'bare'), 20);
  await assert.rejects(trained('bare', { data: bare }, 1), { code: 'data-unlabelled' });
});
