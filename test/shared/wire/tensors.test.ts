/** Vectors as bytes, and bytes as vectors, wherever they begin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, copyFloats, floatsOf } from '../../../shared/wire/tensors.ts';

const values = Float32Array.of(1.5, -0, 1e-42, Number.MAX_VALUE, Number.NaN, 3);

test('bytes are little-endian f32, and are not copied', () => {
  const vector = Float32Array.of(1, -2);
  const bytes = bytesOf(vector);
  assert.deepEqual([...bytes], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  vector[0] = 2;
  assert.equal(bytes[3], 0x40);
});

test('a part of a vector gives its own bytes only', () => {
  const part = bytesOf(Float32Array.of(1, 2, 3).subarray(1, 2));
  assert.deepEqual([...part], [0, 0, 0, 0x40]);
});

test('bytes that begin anywhere come back bit for bit', () => {
  for (let shift = 0; shift < 4; shift += 1) {
    const received = new Uint8Array(values.byteLength + shift).subarray(shift);
    received.set(bytesOf(values));
    assert.deepEqual(bytesOf(floatsOf(received)), bytesOf(values));
  }
});

test('a copy lands at its element and touches nothing else', () => {
  const target = new Float32Array(6).fill(9).subarray(1, 5);
  copyFloats(bytesOf(Float32Array.of(1, 2)), target, 1);
  assert.deepEqual([...target], [9, 1, 2, 9]);
});

test('more bytes than there is room for are refused', () => {
  assert.throws(() => copyFloats(new Uint8Array(8), new Float32Array(2), 1), RangeError);
});
