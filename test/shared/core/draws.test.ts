/** Draws: the address decides, the bulk forms agree with it, and the values look random. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  fillNormal,
  fillUniform,
  type Purpose,
  purposes,
  uniform,
} from '../../../shared/core/draws.ts';
import { normalPair } from '../../../shared/core/exact.ts';

test('every part of the address changes the draw', () => {
  const base = uniform(7, 'crop', 5, 1, 0);
  const others = [
    uniform(8, 'crop', 5, 1, 0),
    uniform(7 + 2 ** 32, 'crop', 5, 1, 0),
    uniform(7, 'flip', 5, 1, 0),
    uniform(7, 'crop', 6, 1, 0),
    uniform(7, 'crop', 5 + 2 ** 32, 1, 0),
    uniform(7, 'crop', 5, 2, 0),
    uniform(7, 'crop', 5, 1, 1),
    uniform(7, 'crop', 5, 1, 2),
  ];
  assert.equal(new Set([base, ...others]).size, others.length + 1);
  assert.equal(uniform(7, 'crop', 5, 1, 0), base);
});

test('no seed and purpose share a key: the greatest seed leaves the purpose alone', () => {
  const seen = new Set<number>();
  for (const purpose of Object.keys(purposes) as Purpose[]) {
    for (const seed of [0, 1, 2 ** 32, 2 ** 53 - 1]) seen.add(uniform(seed, purpose, 0, 0, 0));
  }
  assert.equal(seen.size, 4 * Object.keys(purposes).length);
  assert.equal(new Set(Object.values(purposes)).size, Object.keys(purposes).length);
  assert.ok(Object.values(purposes).every((number) => number > 0 && number < 2048));
});

test('seeds that are no whole number from 0 to 2^53 - 1 are refused', () => {
  for (const seed of [-1, 0.5, 2 ** 53, NaN]) {
    assert.throws(() => uniform(seed, 'crop', 0, 0, 0), RangeError);
  }
});

test('the bulk form is the single form, from any first index', () => {
  for (const first of [0, 1, 6, 2 ** 32 - 3]) {
    const out = new Float64Array(9);
    fillUniform(out, 3, 'initial', 2 ** 40 + 17, first);
    const single = Array.from(out, (_, i) => uniform(3, 'initial', 2 ** 40 + 17, 0, first + i));
    assert.deepEqual([...out], single);
  }
});

test('bulk normal values are the pairs of the stream, an odd last one too', () => {
  const out = new Float64Array(7);
  fillNormal(out, 1, 3, 'initial', 9);
  for (let i = 0; i < out.length; i += 1) {
    const even = i - (i % 2);
    const u1 = uniform(3, 'initial', 9, 0, even);
    const u2 = uniform(3, 'initial', 9, 0, even + 1);
    assert.equal(out[i], normalPair(u1, u2)[i % 2]);
  }
});

test('uniform draws fill [0, 1) evenly, with 53 bits', () => {
  const count = 1_000_000;
  const out = new Float64Array(count);
  fillUniform(out, 11, 'audit', 0, 0);
  const bins = Array.from({ length: 64 }, () => 0);
  let odd = 0;
  for (const u of out) {
    assert.ok(u >= 0 && u < 1);
    const bin = Math.floor(u * 64);
    bins[bin] = bins[bin]! + 1;
    odd += (u * 2 ** 53) % 2;
  }
  const expected = count / 64;
  const chi2 = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  // 63 degrees of freedom: mean 63, standard deviation 11.
  assert.ok(chi2 > 20 && chi2 < 120, `chi-squared ${chi2}`);
  assert.ok(Math.abs(odd / count - 0.5) < 0.003, `lowest bit set in ${odd} of ${count}`);
});

test('normal draws have the moments of a normal distribution', () => {
  const count = 2_000_000;
  const out = new Float32Array(count);
  fillNormal(out, 1, 0, 'initial', 1);
  let [m1, m2, m3, m4, neighbours, beyond3] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < count; i += 1) {
    const x = out[i]!;
    m1 += x / count;
    m2 += x ** 2 / count;
    m3 += x ** 3 / count;
    m4 += x ** 4 / count;
    neighbours += (x * out[(i + 1) % count]!) / count;
    if (Math.abs(x) > 3) beyond3 += 1 / count;
  }
  // Five standard errors each.
  assert.ok(Math.abs(m1) < 5 / Math.sqrt(count), `mean ${m1}`);
  assert.ok(Math.abs(m2 - 1) < 5 * Math.sqrt(2 / count), `variance ${m2}`);
  assert.ok(Math.abs(m3) < 5 * Math.sqrt(15 / count), `third moment ${m3}`);
  assert.ok(Math.abs(m4 - 3) < 5 * Math.sqrt(96 / count), `fourth moment ${m4}`);
  assert.ok(Math.abs(neighbours) < 5 / Math.sqrt(count), `neighbours ${neighbours}`);
  assert.ok(Math.abs(beyond3 - 0.0026998) < 5 * Math.sqrt(0.0027 / count), `tails ${beyond3}`);
});
