/** Held-out images: every image on one side, by seed and share alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, methodOf, trainingCount } from '../../../shared/core/config.ts';
import { permutation } from '../../../shared/core/permutation.ts';
import { shareCount, splitOf, splitSamples } from '../../../shared/core/split.ts';
import { tinySamples } from '../../support/tiny-run.ts';

test('each image is on one side, in the order of the list, the share rounded down', () => {
  for (const count of [1, 2, 7, 100, 1001]) {
    for (const share of [0, 0.01, 0.15, 0.5, 0.9]) {
      const { training, heldOut } = splitOf(3, share, count);
      assert.deepEqual(
        [...training, ...heldOut].toSorted((a, b) => a - b),
        [...Array(count).keys()],
      );
      assert.deepEqual(
        training,
        training.toSorted((a, b) => a - b),
      );
      assert.deepEqual(
        heldOut,
        heldOut.toSorted((a, b) => a - b),
      );
      assert.equal(heldOut.length, shareCount(count, share));
    }
  }
  assert.deepEqual([shareCount(100, 0), shareCount(3, 0.15), shareCount(100, 0.157)], [0, 1, 15]);
});

test('the split is that of the seed, and has nothing to do with the order of training', () => {
  assert.deepEqual(splitOf(1, 0.2, 50), splitOf(1, 0.2, 50));
  assert.notDeepEqual(splitOf(1, 0.2, 50).heldOut, splitOf(2, 0.2, 50).heldOut);
  const order = permutation(1, 0, 50);
  const last = Array.from({ length: 10 }, (_, i) => order(40 + i)).toSorted((a, b) => a - b);
  assert.notDeepEqual(splitOf(1, 0.2, 50).heldOut, last);
  // These places are part of the numerics.
  assert.deepEqual(splitOf(1, 0.2, 20).heldOut, [7, 11, 15, 18]);
});

test('both parts are lists of their own', () => {
  const samples = tinySamples(10);
  const { training, heldOut } = splitSamples(samples, 5, 0.3);
  assert.deepEqual(
    training.map((s) => s.index),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.deepEqual(
    heldOut.map((s) => s.index),
    [0, 1, 2],
  );
  const paths = [...training, ...heldOut].map((s) => s.path);
  assert.deepEqual(paths.toSorted(), samples.map((s) => s.path).toSorted());
});

test('a share of 0 leaves the method as it was; another is part of it and shortens the epoch', () => {
  const config = (validation: string) =>
    parseConfig([
      { source: 'flag', values: { batch: '10', 'micro-batch': '5', epochs: '2', validation } },
    ]).config;
  assert.ok(!('validation' in methodOf(config('0'), 100)));
  assert.equal(methodOf(config('0'), 100).totalSteps, 20);
  const method = methodOf(config('0.25'), 100);
  assert.equal(method.validation, 0.25);
  assert.equal(method.totalSteps, 15);
  assert.equal(trainingCount(config('0.25'), 100), 75);
  assert.throws(() => methodOf(config('0.25'), 12), /more than the 9 that are not held out/);
});
