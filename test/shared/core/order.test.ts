/** The stream: each sample once an epoch, batches cut across epoch ends, nothing dropped. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  epochOf,
  epochsAfter,
  leafPositions,
  sampleAt,
  streamPosition,
  totalSteps,
} from '../../../shared/core/order.ts';

test('a run of epochs has the fewest steps that take every image', () => {
  assert.equal(totalSteps({ epochs: 1 }, 10, 10), 1);
  assert.equal(totalSteps({ epochs: 1 }, 11, 10), 2);
  assert.equal(totalSteps({ epochs: 20 }, 3651, 128), Math.ceil((20 * 3651) / 128));
  assert.equal(totalSteps({ epochs: 0.5 }, 100, 10), 5);
  assert.equal(totalSteps({ steps: 12 }, 3651, 128), 12);
});

test('every image comes once an epoch though batches do not divide the data', () => {
  const [count, batch, microBatch, seed] = [37, 8, 4, 3];
  const samples: number[] = [];
  for (let step = 0; step < totalSteps({ epochs: 3 }, count, batch); step += 1) {
    for (let leaf = 0; leaf < batch / microBatch; leaf += 1) {
      for (const position of leafPositions(step, leaf, batch, microBatch)) {
        assert.equal(position, samples.length);
        samples.push(sampleAt(seed, count, position));
      }
    }
  }
  const epochs = [0, 1, 2].map((epoch) => samples.slice(epoch * count, (epoch + 1) * count));
  for (const epoch of epochs) assert.equal(new Set(epoch).size, count);
  assert.notDeepEqual(epochs[0], epochs[1]);
  assert.ok(samples.length - 3 * count < batch, 'the last step takes less than one batch more');
});

test('positions and epochs are plain arithmetic', () => {
  assert.equal(streamPosition(3, 5, 128), 389);
  assert.equal(epochOf(36, 37), 0);
  assert.equal(epochOf(37, 37), 1);
  assert.equal(epochsAfter(10, 128, 640), 2);
  assert.deepEqual(leafPositions(2, 1, 8, 4), [20, 21, 22, 23]);
});
