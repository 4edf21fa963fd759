/** The record behind an input hash: a function of method, positions and sample hashes, no pixel. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { numbersOfView, viewNumbers } from '../../../shared/core/augment-draws.ts';
import { uniform } from '../../../shared/core/draws.ts';
import { inputRecord, slotsOf } from '../../../shared/core/input-record.ts';
import { prepareLeaf } from '../../../worker/shell/leaf-input.ts';
import { colouredImage, tinyMethod, tinySamples } from '../../support/tiny-run.ts';

const samples = tinySamples(19);
const hashOf = (sample: number) => Buffer.from(samples[sample]?.sha256 ?? '', 'hex');
const none = () => false;
const { seed, augmentation } = tinyMethod;

test('the record gives the hash of the worker that held the pixels', async () => {
  for (const [step, leaf] of [
    [0, 0],
    [3, 2],
    [7, 1],
  ] as const) {
    const slots = slotsOf(tinyMethod, samples.length, step, leaf);
    const record = inputRecord(tinyMethod, slots, hashOf, none);
    const { inputHash } = await prepareLeaf(tinyMethod, samples, step, leaf, async (sample) => ({
      image: colouredImage(sample),
      gray: false,
    }));
    assert.equal(createHash('sha256').update(record).digest('hex'), inputHash);
  }
});

test('a record is file hash, position, mid-gray and the numbers of both views, as documented', () => {
  const slots = slotsOf(tinyMethod, samples.length, 2, 1);
  const gray = slots[1]?.sample;
  const record = inputRecord(tinyMethod, slots, hashOf, (sample) => sample === gray);
  const bytes = 32 + 8 * (2 + 2 * viewNumbers);
  assert.equal(record.length, slots.length * bytes);
  slots.forEach(({ position, sample }, slot) => {
    const one = Buffer.from(record.subarray(slot * bytes, (slot + 1) * bytes));
    assert.deepEqual(one.subarray(0, 32), hashOf(sample));
    const numbers = Array.from({ length: 2 + 2 * viewNumbers }, (_, i) =>
      one.readDoubleLE(32 + 8 * i),
    );
    assert.deepEqual(numbers, [
      position,
      sample === gray ? 1 : 0,
      ...numbersOfView(augmentation, seed, position, 1),
      ...numbersOfView(augmentation, seed, position, 2),
    ]);
  });
});

test('the numbers of a view begin with every draw that its crop may take', () => {
  const numbers = numbersOfView(augmentation, seed, 5, 2);
  assert.equal(numbers.length, viewNumbers);
  for (let index = 0; index < 22; index += 1)
    assert.equal(numbers[index], uniform(seed, 'crop', 5, 2, index));
});
