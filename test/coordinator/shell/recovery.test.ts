/** Where a coordinator begins again: the newest state whose hashes hold. */
import assert from 'node:assert/strict';
import { appendFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkpointName, writeCheckpoint } from '../../../coordinator/shell/checkpoints.ts';
import { type LedgerFile, openLedger, sha256Text } from '../../../coordinator/shell/ledger-file.ts';
import { hashesOf, initialCopy, type ModelCopy } from '../../../coordinator/shell/model-state.ts';
import { recover } from '../../../coordinator/shell/recovery.ts';
import { writeWarmSlot } from '../../../coordinator/shell/warm-slots.ts';
import { sealRecord } from '../../../shared/core/ledger.ts';
import { payloadOf, runFolder, tinyModel } from '../../support/tiny-run.ts';

const seed = 5;

function copyAt(step: number): ModelCopy {
  const copy = initialCopy(tinyModel, seed);
  if (step > 0) copy.weights.set(payloadOf(tinyModel, step, 0).subarray(0, copy.weights.length));
  return copy;
}

/** A folder whose ledger holds so many steps. */
async function runWith(
  t: TestContext,
  steps: number,
): Promise<{ folder: string; ledger: LedgerFile }> {
  const folder = await runFolder(t);
  const ledger = await openLedger(join(folder, 'ledger.jsonl'), 1, 'identity');
  for (let step = 0; step < steps; step += 1)
    await ledger.commit(
      sealRecord(
        {
          step,
          learningRate: { base: 1, predictor: 1 },
          inputHashes: [],
          leafHashes: [],
          gradient: '',
          ...hashesOf(copyAt(step + 1)),
          loss: '',
          std: '',
          previous: ledger.previousOf(step),
        },
        sha256Text,
      ),
    );
  t.after(() => ledger.close());
  return { folder, ledger };
}

async function saveCheckpoint(
  folder: string,
  step: number,
  copy = copyAt(step),
  claimed = copy,
): Promise<void> {
  await writeCheckpoint({
    folder,
    generation: 1,
    architecture: tinyModel,
    copy,
    step,
    identity: 'identity',
    hashes: hashesOf(claimed),
    record: null,
    reproducible: true,
  });
}

const saveSlot = (folder: string, step: number) =>
  writeWarmSlot(folder, step, copyAt(step), hashesOf(copyAt(step)));

const modelPath = (folder: string, step: number) =>
  join(folder, 'checkpoints', checkpointName(step), 'model.safetensors');

test('a new run begins at the seed', async (t) => {
  const folder = await runFolder(t);
  const found = await recover(folder, tinyModel, seed, null);
  assert.deepEqual([found.step, found.source, found.warnings], [0, 'the seed', []]);
  assert.deepEqual(found.copy, copyAt(0));
});

test('a warm slot newer than every checkpoint is taken', async (t) => {
  const { folder, ledger } = await runWith(t, 5);
  for (const step of [0, 2]) await saveCheckpoint(folder, step);
  for (const step of [4, 5]) await saveSlot(folder, step);
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.deepEqual([found.step, found.source], [5, 'the warm slot of step 5']);
  assert.deepEqual(found.copy, copyAt(5));
  assert.deepEqual(found.warnings, []);
});

test('a checkpoint newer than the slots is taken', async (t) => {
  const { folder, ledger } = await runWith(t, 6);
  for (const step of [0, 6]) await saveCheckpoint(folder, step);
  for (const step of [3, 4]) await saveSlot(folder, step);
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.deepEqual([found.step, found.source], [6, 'the checkpoint of step 6']);
  assert.deepEqual(found.copy, copyAt(6));
});

test('a slot that the ledger never heard of loses to the one before', async (t) => {
  const { folder, ledger } = await runWith(t, 4);
  for (const step of [4, 5]) await saveSlot(folder, step);
  assert.equal((await recover(folder, tinyModel, seed, ledger)).step, 4);
});

test('a damaged newest checkpoint is passed over, with a warning that names it', async (t) => {
  const { folder, ledger } = await runWith(t, 6);
  for (const step of [0, 3, 6]) await saveCheckpoint(folder, step);
  await truncate(modelPath(folder, 6), 99);
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.deepEqual([found.step, found.source], [3, 'the checkpoint of step 3']);
  assert.equal(found.warnings.length, 1);
  assert.equal(found.warnings[0]?.code, 'checkpoint-damaged');
  assert.match(found.warnings[0]?.message ?? '', /step 6 is damaged.*the one before it is used/);
});

test('a whole checkpoint that is not what the ledger says is passed over too', async (t) => {
  const { folder, ledger } = await runWith(t, 6);
  await saveCheckpoint(folder, 3);
  await saveCheckpoint(folder, 6, copyAt(99));
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.equal(found.step, 3);
  assert.match(found.warnings[0]?.message ?? '', /step 6 is not what the ledger says/);
});

test('a checkpoint is believed for the bytes it holds, momentum too, not for what its manifest says', async (t) => {
  const { folder, ledger } = await runWith(t, 6);
  await saveCheckpoint(folder, 3);
  const momentum = copyAt(6).weights;
  await saveCheckpoint(folder, 6, { ...copyAt(6), momentum }, copyAt(6));
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.equal(found.step, 3);
  assert.match(found.warnings[0]?.message ?? '', /step 6 is not what the ledger says/);
});

test('with every checkpoint damaged the run begins again at the seed, and each is said', async (t) => {
  const { folder, ledger } = await runWith(t, 6);
  for (const step of [0, 3, 6]) {
    await saveCheckpoint(folder, step);
    await appendFile(modelPath(folder, step), 'x');
  }
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.deepEqual([found.step, found.source], [0, 'the seed']);
  assert.deepEqual(found.copy, copyAt(0));
  assert.equal(found.warnings.length, 3);
});

test('the checkpoint of step 0 stands in where nothing else holds', async (t) => {
  const { folder, ledger } = await runWith(t, 6);
  for (const step of [0, 3]) await saveCheckpoint(folder, step);
  await rm(modelPath(folder, 3));
  const found = await recover(folder, tinyModel, seed, ledger);
  assert.deepEqual([found.step, found.source], [0, 'the checkpoint of step 0']);
});
