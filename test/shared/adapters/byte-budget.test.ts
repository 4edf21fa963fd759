/** A bound over all: the one that stood still for longest is given up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteBudget } from '../../../shared/adapters/byte-budget.ts';

function holds(bytesMax: number, names: string[]) {
  const budget = byteBudget(bytesMax);
  const gone: string[] = [];
  const held = Object.fromEntries(
    names.map((name) => [name, budget.hold(() => void gone.push(name))]),
  ) as Record<string, ReturnType<typeof budget.hold>>;
  return { budget, gone, held };
}

test('what stood still for longest goes when the bound is passed', () => {
  const { budget, gone, held } = holds(10, ['a', 'b', 'c']);
  held['a']?.set(4);
  held['b']?.set(4);
  held['c']?.set(4);
  assert.deepEqual(gone, ['a']);
  assert.equal(budget.bytes, 8);
});

test('progress makes one the newest, growth does not', () => {
  const { gone, held } = holds(10, ['a', 'b', 'c', 'd']);
  for (const name of ['a', 'b']) held[name]?.set(3);
  held['a']?.set(3);
  held['c']?.set(4);
  held['b']?.grow(4);
  assert.deepEqual(gone, ['b'], 'b stands where it stood');
  held['d']?.set(4);
  assert.deepEqual(gone, ['b', 'a']);
});

test('what is released or holds nothing is not given up', () => {
  const { budget, gone, held } = holds(10, ['a', 'b', 'c']);
  held['a']?.set(5);
  held['b']?.set(5);
  held['a']?.release();
  held['b']?.grow(0);
  held['c']?.set(10);
  assert.deepEqual(gone, []);
  assert.equal(budget.bytes, 10);
});

test('one alone may be larger than the bound', () => {
  const { gone, held } = holds(10, ['a', 'b']);
  held['a']?.set(3);
  held['b']?.set(30);
  assert.deepEqual(gone, ['a']);
});
