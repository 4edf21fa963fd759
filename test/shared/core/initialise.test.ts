/** First weights: by name and index, with the spread that each rule asks for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Architecture, Initial } from '../../../shared/core/architecture-types.ts';
import {
  fnv1a,
  initialStatistics,
  initialWeights,
  streamOf,
} from '../../../shared/core/initialise.ts';

function architecture(tensors: [string, number, Initial][]): Architecture {
  let offset = 0;
  const parameters = tensors.map(([name, length, initial]) => {
    const spec = { name, shape: [length], offset, length, initial };
    offset += length;
    return spec;
  });
  const statistics = [
    { name: 'bn.running_mean', shape: [2], offset: 0, length: 2, initial: constant(0) },
    { name: 'bn.running_var', shape: [2], offset: 2, length: 2, initial: constant(1) },
  ];
  return {
    featureWidth: 1,
    outputWidth: 1,
    parameters,
    parameterCount: offset,
    statistics,
    statisticCount: 4,
  };
}

const constant = (value: number): Initial => ({ kind: 'constant', value });
const normal: Initial = { kind: 'kaiming-normal-fan-out', fanOut: 50 };
const uniform: Initial = { kind: 'uniform-fan-in', fanIn: 64 };

test('FNV-1a gives its published values', () => {
  assert.equal(fnv1a(''), 0x811c9dc5);
  assert.equal(fnv1a('a'), 0xe40c292c);
  assert.equal(fnv1a('foobar'), 0xbf9cf968);
  assert.throws(() => fnv1a('poids à côté'), RangeError);
});

test('streams are whole numbers below 2^53, another for every name', () => {
  const names = Array.from({ length: 5000 }, (_, i) => `layer${i % 7}.${i}.weight`);
  const streams = names.map(streamOf);
  assert.equal(new Set(streams).size, names.length);
  assert.ok(streams.every((stream) => Number.isSafeInteger(stream) && stream >= 0));
});

test('normal tensors have deviation √(2 / fanOut), uniform ones fill ±1/√fanIn', () => {
  const weights = initialWeights(
    architecture([
      ['a', 200_001, normal],
      ['b', 200_001, uniform],
      ['c', 3, constant(0.25)],
    ]),
    1,
  );
  const first = weights.subarray(0, 200_001);
  const second = weights.subarray(200_001, 400_002);
  const variance = (values: Float32Array): number =>
    values.reduce((sum, x) => sum + x * x, 0) / values.length;
  assert.ok(Math.abs(variance(first) - 2 / 50) < 0.0008);
  assert.ok(Math.abs(variance(second) - 1 / 64 / 3) < 0.0001);
  const most = second.reduce((sum, x) => Math.max(sum, Math.abs(x)), 0);
  assert.ok(most <= 1 / 8 && most > 0.1249);
  assert.deepEqual([...weights.subarray(400_002)], [0.25, 0.25, 0.25]);
});

test('values depend on seed and name, never on the tensors beside or on the place', () => {
  const alone = initialWeights(architecture([['b', 7, normal]]), 5);
  const beside = initialWeights(
    architecture([
      ['a', 3, uniform],
      ['b', 7, normal],
    ]),
    5,
  );
  assert.deepEqual(beside.subarray(3), alone);
  assert.notDeepEqual(initialWeights(architecture([['b', 7, normal]]), 6), alone);
  assert.notDeepEqual(initialWeights(architecture([['c', 7, normal]]), 5), alone);
});

test('running means begin at 0 and variances at 1', () => {
  assert.deepEqual([...initialStatistics(architecture([]))], [0, 0, 1, 1]);
});
