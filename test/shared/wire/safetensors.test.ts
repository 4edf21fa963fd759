/** safetensors headers, as any reader of the format expects them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  byName,
  decodeHeader,
  encodeHeader,
  headerLength,
  type TensorEntry,
} from '../../../shared/wire/safetensors.ts';

const entries: TensorEntry[] = [
  { name: 'a.weight', shape: [2, 3] },
  { name: 'b', shape: [0] },
  { name: 'step', shape: [] },
];

test('the header is the one that the format prescribes, byte for byte', () => {
  const { header } = encodeHeader(entries);
  const json =
    '{"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},' +
    '"b":{"dtype":"F32","shape":[0],"data_offsets":[24,24]},' +
    '"step":{"dtype":"F32","shape":[],"data_offsets":[24,28]}}';
  const padded = json + ' '.repeat((8 - (json.length % 8)) % 8);
  assert.equal(Buffer.from(header.subarray(8)).toString('latin1'), padded);
  assert.equal(Buffer.from(header).readBigUInt64LE(0), BigInt(padded.length));
  assert.equal(header.length % 8, 0);
});

test('what was encoded is found again where it lies', () => {
  const { header, tensors } = encodeHeader(entries);
  const length = headerLength(header);
  const text = Buffer.from(header.subarray(8, 8 + length)).toString('utf8');
  assert.deepEqual(decodeHeader(text, 8 + length), tensors);
  assert.deepEqual(
    tensors.map(({ offset, length: bytes }) => [offset - header.length, bytes]),
    [
      [0, 24],
      [24, 0],
      [24, 4],
    ],
  );
});

test('every length of header is padded to 8', () => {
  for (let length = 1; length < 20; length += 1) {
    const { header } = encodeHeader([{ name: 'x'.repeat(length), shape: [1] }]);
    assert.equal(header.length % 8, 0);
    JSON.parse(Buffer.from(header.subarray(8)).toString('utf8'));
  }
});

test('names are sorted by bytes, given once, and ASCII', () => {
  const one = (name: string): TensorEntry => ({ name, shape: [1] });
  assert.deepEqual(
    ['b', 'a.10', 'a.2', 'B']
      .map(one)
      .sort(byName)
      .map(({ name }) => name),
    ['B', 'a.10', 'a.2', 'b'],
  );
  assert.throws(() => encodeHeader([one('b'), one('a')]), /sorted by name; a is not/);
  assert.throws(() => encodeHeader([one('a'), one('a')]), /sorted by name; a is not/);
  assert.throws(() => encodeHeader([one('é')]), /ASCII/);
});

test('metadata of other writers is passed over', () => {
  const text =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  assert.deepEqual(decodeHeader(text, 16), [{ name: 'a', shape: [1], offset: 16, length: 4 }]);
});

test('other types, and shapes that do not fit their bytes, are refused by name', () => {
  const with1 = (dtype: string, shape: number[], end: number) =>
    JSON.stringify({ odd: { dtype, shape, data_offsets: [0, end] } });
  assert.throws(() => decodeHeader(with1('BF16', [2], 4), 8), /odd is BF16, not F32/);
  assert.throws(() => decodeHeader(with1('F32', [3], 8), 8), /odd: its shape and its bytes/);
});

test('bytes that are no safetensors file are refused before anything of their size is read', () => {
  assert.throws(() => headerLength(new Uint8Array(8).fill(255)), /not plausible/);
  assert.throws(() => headerLength(Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0)), /not plausible/);
  assert.equal(headerLength(Uint8Array.of(16, 1, 0, 0, 0, 0, 0, 0)), 272);
});
