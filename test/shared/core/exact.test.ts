/** exact against Math, whose last digit is free; the bits themselves are in golden.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { fillUniform } from '../../../shared/core/draws.ts';
import { cos, exp, log, normalPair, sin } from '../../../shared/core/exact.ts';

const tolerance = 1e-15;

function worst(
  ours: (x: number) => number,
  theirs: (x: number) => number,
  least: number,
  most: number,
): number {
  const draws = new Float64Array(100_000);
  fillUniform(draws, 1, 'audit', 1, 0);
  let error = 0;
  for (const u of draws) {
    const x = least + (most - least) * u;
    const expected = theirs(x);
    error = Math.max(error, Math.abs((ours(x) - expected) / expected));
  }
  return error;
}

const ranges: [name: string, (x: number) => number, (x: number) => number, number, number][] = [
  ['exp', exp, Math.exp, -708, 709],
  ['exp', exp, Math.exp, -1, 1],
  ['log', log, Math.log, 1e-9, 1e-3],
  ['log', log, Math.log, 0.5, 2],
  ['log', log, Math.log, 1 - 1e-6, 1 + 1e-6],
  ['log', log, Math.log, 1, 1e300],
  ['sin', sin, Math.sin, -7, 7],
  ['sin', sin, Math.sin, -1e6, 1e6],
  ['cos', cos, Math.cos, -7, 7],
  ['cos', cos, Math.cos, -1e6, 1e6],
];

for (const [name, ours, theirs, least, most] of ranges) {
  test(`exact.${name} is within 1e-15 of Math.${name} on [${least}, ${most}]`, () => {
    const error = worst(ours, theirs, least, most);
    assert.ok(error <= tolerance, `relative error ${error}`);
  });
}

test('exact keeps the values that are known exactly, and the edges of the doubles', () => {
  assert.equal(exp(0), 1);
  assert.equal(exp(-800), 0);
  assert.equal(exp(710), Infinity);
  assert.equal(exp(-Infinity), 0);
  assert.ok(Number.isNaN(exp(NaN)));
  assert.equal(exp(-740), Math.exp(-740));
  assert.equal(log(1), 0);
  assert.equal(log(0), -Infinity);
  assert.equal(log(5e-324), Math.log(5e-324));
  assert.ok(Number.isNaN(log(-1)));
  assert.equal(log(Infinity), Infinity);
  assert.ok(Object.is(sin(-0), -0));
  assert.equal(cos(0), 1);
  assert.equal(cos(Math.PI), -1);
});

test('sin and cos keep their digits beside multiples of π/2', () => {
  for (let k = 1; k < 600_000; k = k * 2 + 1) {
    const x = k * (Math.PI / 2);
    for (const [ours, theirs] of [
      [sin(x), Math.sin(x)],
      [cos(x), Math.cos(x)],
    ] as const) {
      assert.ok(Math.abs(ours - theirs) <= tolerance * Math.abs(theirs), `at ${k}·π/2`);
    }
  }
});

test('sin and cos refuse what they cannot reduce', () => {
  assert.throws(() => sin(1.1e6), RangeError);
  assert.throws(() => cos(-1.1e6), RangeError);
  assert.throws(() => cos(NaN), RangeError);
});

test('a normal pair is Box and Muller of its two draws', () => {
  for (const [u1, u2] of [
    [0, 0],
    [0.5, 0.125],
    [0.9, 0.6],
    [0.3, 0.99],
    [0.7, 0.374],
  ] as const) {
    const radius = Math.sqrt(-2 * Math.log(1 - u1));
    const [x, y] = normalPair(u1, u2);
    assert.ok(Math.abs(x - radius * Math.cos(2 * Math.PI * u2)) < 1e-14);
    assert.ok(Math.abs(y - radius * Math.sin(2 * Math.PI * u2)) < 1e-14);
  }
});
