/** Who learns, who stops, who is measured: no image is two of them, but where it is asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluationSplit, type SplitChoice } from '../../../shared/core/evaluation-split.ts';
import { Failure } from '../../../shared/core/failures.ts';
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

test('images that are too few for a split are told, with what to do', () => {
  const cases = [
    [{ split: 'training' }, 2, /of 2 images .* 0 to learn from .*leave --split training out/],
    [
      { split: 'training', stopOn: 'training' },
      3,
      /of 3 images .* 0 to learn from .*leave --split training and --stop-on training out/,
    ],
    [{ stopOn: 'training' }, 2, /of 2 images .*leave --stop-on training out/],
    [{ share: 0 }, 50, /of 50 images .* 50 to learn from and measures 0.*another --validation$/],
  ] as const;
  for (const [changed, images, message] of cases)
    assert.throws(
      () => evaluationSplit({ ...choice, ...changed }, images),
      (error: unknown) => {
        assert.ok(error instanceof Failure);
        assert.equal(error.code, 'data-empty');
        assert.match(error.message, message);
        return true;
      },
    );
  assert.equal(evaluationSplit(choice, 2).learned.length, 1);
});

test('another seed draws another split', () => {
  const other = evaluationSplit({ ...choice, seed: 8 }, count);
  assert.notDeepEqual(other.measured, evaluationSplit(choice, count).measured);
});
