/** Who learns, who stops, who is measured: no image is two of them, but where it is asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluationSplit, type SplitChoice } from '../../../shared/core/evaluation-split.ts';
import { splitOf } from '../../../shared/core/split.ts';

const count = 400;
const choice: SplitChoice = { split: 'held-out', stopOn: 'measured', share: 0.15, seed: 7 };

test('the measured images are those that pre-training held out', () => {
  const { training, heldOut } = splitOf(7, 0.15, count);
  const split = evaluationSplit(choice, count);
  assert.deepEqual(split, { learned: training, stopped: heldOut, measured: heldOut });
});

test('to choose, the held-out images are not touched', () => {
  const { training, heldOut } = splitOf(7, 0.15, count);
  const { learned, measured } = evaluationSplit({ ...choice, split: 'training' }, count);
  assert.deepEqual(
    [...learned, ...measured].toSorted((a, b) => a - b),
    training,
  );
  assert.equal(measured.length, Math.floor(0.15 * training.length));
  assert.ok(measured.every((place) => !heldOut.includes(place)));
});

test('a stop on the training part has images of its own, in both splits', () => {
  for (const split of ['held-out', 'training'] as const) {
    const parts = evaluationSplit({ ...choice, split, stopOn: 'training' }, count);
    const all = [...parts.learned, ...parts.stopped, ...parts.measured];
    assert.equal(new Set(all).size, all.length);
    assert.ok(parts.stopped.length > 0);
    const plain = evaluationSplit({ ...choice, split }, count);
    assert.deepEqual(parts.measured, plain.measured);
    assert.deepEqual(
      [...parts.learned, ...parts.stopped].toSorted((a, b) => a - b),
      plain.learned,
    );
  }
});

test('another seed draws another split', () => {
  const other = evaluationSplit({ ...choice, seed: 8 }, count);
  assert.notDeepEqual(other.measured, evaluationSplit(choice, count).measured);
});
