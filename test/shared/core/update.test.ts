/** The optimizer against PyTorch's SGD (fixture) and against its formula, bit by bit. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fillNormal } from '../../../shared/core/draws.ts';
import { sgdStep, updateStatistics } from '../../../shared/core/update.ts';

interface SgdFixture {
  w0: number[];
  grads: number[][];
  lr: number;
  momentum: number;
  wd: number;
  w: number[][];
}
const fixture = JSON.parse(
  readFileSync(new URL('../../../../test/parity/simsiam.json', import.meta.url), 'utf8'),
) as { sgd_torch_semantics: SgdFixture };

test('three steps follow PyTorch: decay into the gradient, momentum, then the rate', () => {
  const { w0, grads, lr, momentum, wd, w } = fixture.sgd_torch_semantics;
  let weights = Float32Array.from(w0);
  let buffer = new Float32Array(3);
  grads.forEach((gradient, step) => {
    const nextWeights = new Float32Array(3);
    const nextMomentum = new Float32Array(3);
    sgdStep({
      weights,
      momentum: buffer,
      gradient: Float32Array.from(gradient),
      nextWeights,
      nextMomentum,
      start: 0,
      end: 3,
      rate: lr,
      momentumFactor: momentum,
      weightDecay: wd,
    });
    [weights, buffer] = [nextWeights, nextMomentum];
    weights.forEach((value, i) => {
      const expected = w[step]![i]!;
      assert.ok(Math.abs(value - expected) <= 3e-7 * Math.abs(expected), `step ${step}: ${value}`);
    });
  });
});

function normals(length: number, stream: number, scale: number): Float32Array {
  const values = new Float32Array(length);
  fillNormal(values, scale, 4, 'audit', stream);
  return values;
}

test('every operation is rounded to f32, within the range given and nowhere else', () => {
  const length = 4001;
  const f = Math.fround;
  const [weights, momentum, gradient] = [1, 2, 3].map((stream) => normals(length, stream, 0.1)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const nextWeights = new Float32Array(length).fill(7);
  const nextMomentum = new Float32Array(length).fill(7);
  const [start, end, rate, momentumFactor, weightDecay] = [10, 3990, 0.05, 0.9, 1e-4];
  sgdStep({
    weights,
    momentum,
    gradient,
    nextWeights,
    nextMomentum,
    start,
    end,
    rate,
    momentumFactor,
    weightDecay,
  });
  let unlikeF64 = 0;
  for (let i = 0; i < length; i += 1) {
    if (i < start || i >= end) {
      assert.equal(nextWeights[i], 7);
      assert.equal(nextMomentum[i], 7);
      continue;
    }
    const d = f(gradient[i]! + f(f(weightDecay) * weights[i]!));
    const v = f(f(f(momentumFactor) * momentum[i]!) + d);
    assert.equal(nextMomentum[i], v);
    assert.equal(nextWeights[i], f(weights[i]! - f(f(rate) * v)));
    const loose = momentumFactor * momentum[i]! + gradient[i]! + weightDecay * weights[i]!;
    if (f(weights[i]! - rate * loose) !== nextWeights[i]) unlikeF64 += 1;
  }
  assert.ok(unlikeF64 > 0, 'the test could not tell f32 from f64 arithmetic');
});

test('denormals are kept, not flushed to zero', () => {
  const one = Float32Array.of(1e-45);
  const next = { nextWeights: new Float32Array(1), nextMomentum: new Float32Array(1) };
  sgdStep({
    weights: Float32Array.of(0),
    momentum: Float32Array.of(0),
    gradient: one,
    ...next,
    start: 0,
    end: 1,
    rate: 1,
    momentumFactor: 0.9,
    weightDecay: 0,
  });
  assert.equal(next.nextMomentum[0], one[0]);
  assert.equal(next.nextWeights[0], -one[0]!);
});

test('running statistics take view 1, then view 2, rounded at every operation', () => {
  const f = Math.fround;
  const [statistics, view1, view2] = [4, 5, 6].map((stream) => normals(999, stream, 1)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const next = new Float32Array(999);
  updateStatistics({ statistics, view1, view2, next });
  const swapped = new Float32Array(999);
  updateStatistics({ statistics, view1: view2, view2: view1, next: swapped });
  statistics.forEach((r, i) => {
    const once = f(f(f(0.9) * r) + f(f(0.1) * view1[i]!));
    assert.equal(next[i], f(f(f(0.9) * once) + f(f(0.1) * view2[i]!)));
  });
  assert.notDeepEqual(next, swapped);
});
