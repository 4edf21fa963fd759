/** Canonical JSON: one text a value, and nothing that JSON would bend in silence. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { canonicalJson } from '../../../shared/core/canonical-json.ts';

test('keys are sorted at every depth and no space is left', () => {
  const text = canonicalJson({ b: [1, { z: null, a: true }], a: 'x y', B: 0.1, é: 1e21 });
  assert.equal(text, '{"B":0.1,"a":"x y","b":[1,{"a":true,"z":null}],"é":1e+21}');
});

test('the order in which an object was made does not matter', () => {
  assert.equal(canonicalJson({ x: 1, y: 2 }), canonicalJson({ y: 2, x: 1 }));
  assert.notEqual(canonicalJson([1, 2]), canonicalJson([2, 1]));
});

test('the text is JSON and reads back as the same value', () => {
  const value = { list: [1.5, -2e-7, 2 ** 53 - 1, '\u2028"\\\n'], empty: {}, none: [] };
  assert.deepEqual(JSON.parse(canonicalJson(value)), value);
});

test('negative zero is written as zero, as in RFC 8785', () => {
  assert.equal(canonicalJson(-0), '0');
});

test('what JSON would drop or bend is refused, with its place', () => {
  const bad: [unknown, RegExp][] = [
    [{ a: { b: NaN } }, /NaN at \$\.a\.b/],
    [[1, undefined], /undefined at \$\[1\]/],
    [{ a: undefined }, /at \$\.a/],
    [Object.assign([], { length: 1 }), /undefined at \$\[0\]/],
    [Infinity, /Infinity/],
    [() => 1, /at \$/],
    [Symbol('s'), /at \$/],
    [1n, /at \$/],
    [new Date(0), /class at \$/],
    [new Map(), /class/],
    [{ a: new Float32Array(1) }, /class at \$\.a/],
  ];
  for (const [value, message] of bad) {
    assert.throws(
      () => canonicalJson(value),
      (error: Error) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});
