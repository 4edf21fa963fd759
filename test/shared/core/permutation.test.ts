/** Keyed permutations: bijections for every size, and every key another order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { permutation, permute } from '../../../shared/core/permutation.ts';

for (const count of [1, 2, 3, 4, 5, 15, 16, 17, 64, 550, 3651, 65536, 65537]) {
  test(`a permutation of ${count} takes every value once`, () => {
    const order = permutation(1, 0, count);
    const seen = new Uint8Array(count);
    for (let i = 0; i < count; i += 1) {
      const value = order(i);
      assert.ok(Number.isInteger(value) && value >= 0 && value < count);
      assert.equal(seen[value], 0, `${value} came twice`);
      seen[value] = 1;
    }
  });
}

test('sizes up to 2^40 stay within range and do not collide', () => {
  for (const count of [2 ** 40, 2 ** 38 + 1, 1_000_000_007]) {
    const order = permutation(5, 3, count);
    const values = new Set<number>();
    for (let i = 0; i < 2000; i += 1) values.add(order(count - 1 - i));
    assert.equal(values.size, 2000);
    for (const value of values) assert.ok(Number.isInteger(value) && value >= 0 && value < count);
    const mean = [...values].reduce((sum, value) => sum + value / count, 0) / 2000;
    assert.ok(Math.abs(mean - 0.5) < 0.04, `mean place ${mean}`);
  }
});

test('seed and epoch, each up to 53 bits, change the order', () => {
  const orders = [
    [0, 0],
    [1, 0],
    [2 ** 32, 0],
    [0, 1],
    [0, 2 ** 32],
  ].map(([seed, epoch]) => {
    const order = permutation(seed!, epoch!, 100);
    return Array.from({ length: 100 }, (_, i) => order(i)).join();
  });
  assert.equal(new Set(orders).size, orders.length);
});

test('all orders of three come up about equally often', () => {
  const counts = new Map<string, number>();
  for (let epoch = 0; epoch < 6000; epoch += 1) {
    const order = permutation(9, epoch, 3);
    const text = [0, 1, 2].map(order).join('');
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const [text, n] of counts) assert.ok(n > 800 && n < 1200, `${text}: ${n} of 6000`);
});

test('places of an image in successive epochs are spread evenly', () => {
  const bins = Array.from({ length: 10 }, () => 0);
  for (let epoch = 0; epoch < 5000; epoch += 1) {
    const bin = Math.floor(permute(2, epoch, 3651, 77) / 365.1);
    bins[bin] = bins[bin]! + 1;
  }
  const chi2 = bins.reduce((sum, n) => sum + (n - 500) ** 2 / 500, 0);
  assert.ok(chi2 < 28, `chi-squared ${chi2} at 9 degrees of freedom`);
});

test('places outside the permutation are refused', () => {
  const order = permutation(0, 0, 10);
  for (const index of [-1, 10, 0.5, NaN]) assert.throws(() => order(index), RangeError);
  assert.throws(() => permutation(0, 0, 0), RangeError);
  assert.throws(() => permutation(0, 0, 2 ** 40 + 1), RangeError);
  assert.throws(() => permutation(0, -1, 10), RangeError);
});
