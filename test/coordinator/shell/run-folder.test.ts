/** Whose folder it is: generations, the fence, the address. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkFence,
  clearAddress,
  prepareRunFolder,
  readRun,
  type RunRecord,
  takeGeneration,
  writeAddress,
  writeRun,
} from '../../../coordinator/shell/run-folder.ts';
import { Failure } from '../../../shared/core/failures.ts';
import type { Method } from '../../../shared/core/method.ts';
import { runFolder } from '../../support/tiny-run.ts';

const failing = (code: string) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, code);
  return true;
};

test('generations count from 1 over the lives of a folder', async (t) => {
  const folder = await runFolder(t);
  assert.deepEqual(
    [await takeGeneration(folder), await takeGeneration(folder), await takeGeneration(folder)],
    [1, 2, 3],
  );
});

test('coordinators that race for a folder get different generations, and only the newest may commit', async (t) => {
  const folder = await runFolder(t);
  const taken = await Promise.all(Array.from({ length: 12 }, () => takeGeneration(folder)));
  assert.deepEqual(
    taken.sort((a, b) => a - b),
    Array.from({ length: 12 }, (_, i) => i + 1),
  );
  for (const generation of taken.slice(0, -1))
    await assert.rejects(checkFence(folder, generation), failing('fenced'));
  await checkFence(folder, 12);
});

test('the fence falls the moment a newer generation is taken', async (t) => {
  const folder = await runFolder(t);
  const mine = await takeGeneration(folder);
  await checkFence(folder, mine);
  await takeGeneration(folder);
  await assert.rejects(checkFence(folder, mine), failing('fenced'));
});

test('a folder that cannot be made says which and what to do', async (t) => {
  const folder = await runFolder(t);
  await writeFile(join(folder, 'file'), '');
  await assert.rejects(prepareRunFolder(join(folder, 'file', 'run')), (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.match(error.message, /file\/run: .*another --run/);
    return true;
  });
});

test('a run record comes back as it was written; other files are refused', async (t) => {
  const folder = await runFolder(t);
  assert.equal(await readRun(folder), null);
  const run: RunRecord = {
    version: 1,
    method: { seed: 3 } as Method,
    fingerprint: 'f',
    samples: 9,
    deviceClass: null,
    identity: null,
    reproducible: true,
  };
  await writeRun(folder, run, 1);
  assert.deepEqual(await readRun(folder), run);
  for (const text of ['{"version":2}', '{"vers', '']) {
    await writeFile(join(folder, 'run.json'), text);
    await assert.rejects(readRun(folder), failing('run-missing'));
  }
});

test('a coordinator that ends removes its own address, never that of its successor', async (t) => {
  const folder = await runFolder(t);
  await writeAddress(folder, { address: '127.0.0.1:1', pid: 1, generation: 2 });
  await clearAddress(folder, 1);
  assert.match(await readFile(join(folder, 'coordinator.json'), 'utf8'), /127\.0\.0\.1:1/);
  await clearAddress(folder, 2);
  assert.ok(!(await readdir(folder)).includes('coordinator.json'));
  await clearAddress(folder, 2);
});
