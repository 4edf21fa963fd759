/** Warm slots: quick to write, believed only where the ledger says the same. */
import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  hashesOf,
  initialCopy,
  type ModelCopy,
  type StateHashes,
} from '../../../coordinator/shell/model-state.ts';
import { readWarmSlots, writeWarmSlot } from '../../../coordinator/shell/warm-slots.ts';
import { payloadOf, runFolder, tinyModel } from '../../support/tiny-run.ts';

function copyAt(step: number): ModelCopy {
  const copy = initialCopy(tinyModel, 5);
  copy.weights.set(payloadOf(tinyModel, step, 0).subarray(0, tinyModel.parameterCount));
  return copy;
}

/** What a ledger with so many records says. */
const ledgerOf = (steps: number) => (step: number) =>
  step >= 1 && step <= steps ? hashesOf(copyAt(step)) : undefined;

async function write(folder: string, step: number): Promise<void> {
  const copy = copyAt(step);
  await writeWarmSlot(folder, step, copy, hashesOf(copy));
}

const stepsOf = async (folder: string, expected: (step: number) => StateHashes | undefined) =>
  (await readWarmSlots(folder, tinyModel, expected)).map(({ step }) => step);

const slot = (folder: string, step: number) => join(folder, 'warm', `slot-${step % 2}.bin`);

test('the last two steps are there, newest first, bit for bit', async (t) => {
  const folder = await runFolder(t);
  for (const step of [1, 2, 3, 4]) await write(folder, step);
  const [newest, second] = await readWarmSlots(folder, tinyModel, ledgerOf(4));
  assert.deepEqual([newest?.step, second?.step], [4, 3]);
  assert.deepEqual(newest?.copy, copyAt(4));
});

test('no slots, no states', async (t) => {
  assert.deepEqual(await stepsOf(await runFolder(t), ledgerOf(9)), []);
});

test('a slot that the ledger does not know, or knows otherwise, is not believed', async (t) => {
  const folder = await runFolder(t);
  for (const step of [3, 4]) await write(folder, step);
  assert.deepEqual(await stepsOf(folder, ledgerOf(3)), [3], 'its commit was never recorded');
  const other = (step: number) => {
    const hashes = ledgerOf(4)(step);
    return hashes && { ...hashes, momentum: 'other' };
  };
  assert.deepEqual(await stepsOf(folder, other), []);
});

test('a slot cut short, or with one bit flipped anywhere, is not believed', async (t) => {
  const folder = await runFolder(t);
  await write(folder, 3);
  const whole = await readFile(slot(folder, 3));
  for (const at of [2, 4096, 4096 + 40, whole.length - 1]) {
    const flipped = Uint8Array.from(whole);
    flipped[at] = (flipped[at] as number) ^ 1;
    await writeFile(slot(folder, 3), flipped);
    assert.deepEqual(await stepsOf(folder, ledgerOf(3)), [], `a bit of byte ${at}`);
  }
  await writeFile(slot(folder, 3), whole);
  assert.deepEqual(await stepsOf(folder, ledgerOf(3)), [3]);
  for (const left of [whole.length - 1, 4096, 10, 0]) {
    await truncate(slot(folder, 3), left);
    assert.deepEqual(await stepsOf(folder, ledgerOf(3)), [], `${left} bytes left`);
  }
});

test('a slot whose writer died in the middle of it is not believed, whatever its header said', async (t) => {
  const folder = await runFolder(t);
  await write(folder, 3);
  const old = await readFile(slot(folder, 3));
  await write(folder, 5);
  const young = await readFile(slot(folder, 5));
  // Within the weights: the rest is the same at every step here.
  const half = 4096 + 2 * tinyModel.parameterCount;
  // The header of one step over the body of two.
  for (const header of [old, young])
    for (const [first, second] of [
      [young, old],
      [old, young],
    ] as const) {
      const torn = Buffer.concat([
        header.subarray(0, 4096),
        first.subarray(4096, half),
        second.subarray(half),
      ]);
      await writeFile(slot(folder, 3), torn);
      assert.deepEqual(await stepsOf(folder, ledgerOf(5)), []);
    }
});

test('the header names no step while the body is being rewritten', async (t) => {
  const folder = await runFolder(t);
  await write(folder, 3);
  const copy = copyAt(5);
  // The disk gives up after the header: what a death at that moment leaves behind.
  Object.defineProperty(copy, 'momentum', {
    get: () => {
      throw new Error('the process dies');
    },
  });
  await assert.rejects(writeWarmSlot(folder, 5, copy, hashesOf(copyAt(5))), /dies/);
  const header = JSON.parse((await readFile(slot(folder, 3))).toString('utf8', 0, 4096)) as {
    step: number;
  };
  assert.equal(header.step, -1);
  assert.deepEqual(await stepsOf(folder, ledgerOf(5)), []);
});
