/** Headers of strangers: what the format forbids is refused, and the tensor named. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkTiling, parseHeader } from '../../../shared/wire/safetensors-header.ts';

const one = (fields: string): string => `{"a":{${fields}}}`;
const good = '"dtype":"F32","shape":[2,3],"data_offsets":[0,24]';

test('tensors come in the order of the header, texts of __metadata__ are passed over', () => {
  const text =
    '{ "__metadata__" : {"format":"pt","x":"\\u00e9\\"}"}, "b\\u002e1":{"data_offsets":[8,8],' +
    '"shape":[0],"dtype":"I64"},\n"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   ';
  assert.deepEqual(parseHeader(text), [
    { name: 'b.1', dtype: 'I64', shape: [0], start: 8, end: 8 },
    { name: 'a', dtype: 'F32', shape: [], start: 0, end: 4 },
  ]);
  assert.deepEqual(parseHeader('{}'), []);
});

describe('a header is refused', () => {
  const cases: [what: string, text: string, message: RegExp][] = [
    ['for a name given twice', `{"a":{${good}},"a":{${good}}}`, /holds "a" twice/],
    ['for a name given twice, once escaped', `{"a":{${good}},"\\u0061":{${good}}}`, /"a" twice/],
    ['for __metadata__ given twice', '{"__metadata__":{},"__metadata__":{}}', /twice/],
    ['for a field given twice', one(`${good},"dtype":"F64"`), /tensor "a" holds "dtype" twice/],
    ['for an unknown field', one(`${good},"url":[1]`), /tensor "a" has an unknown field "url"/],
    ['for depth', `{"a":${'['.repeat(100_000)}`, /tensor "a": expected \{/],
    ['for depth in a shape', one('"shape":[[[1]]]'), /shape of tensor "a": expected a whole/],
    ['for depth in metadata', '{"__metadata__":{"x":{"y":1}}}', /metadata value: expected "/],
    [
      'for negative offsets',
      one('"data_offsets":[-1,3]'),
      /data_offsets of tensor "a": expected a/,
    ],
    ['for fractions', one('"shape":[1.5]'), /shape of tensor "a": expected a whole number/],
    ['for exponents', one('"shape":[1e3]'), /shape of tensor "a": expected a whole number/],
    ['for numbers beyond 2^53', one('"shape":[9007199254740993]'), /shape of tensor "a"/],
    ['for three offsets', one('"data_offsets":[0,1,2]'), /more than 2 numbers/],
    ['for nine dimensions', one('"shape":[1,1,1,1,1,1,1,1,1]'), /more than 8 numbers/],
    ['without a dtype', one('"shape":[],"data_offsets":[0,4]'), /tensor "a" has no dtype/],
    ['without a shape', one('"dtype":"F32","data_offsets":[0,4]'), /tensor "a" has no shape/],
    ['without offsets', one('"dtype":"F32","shape":[]'), /tensor "a" has no data_offsets/],
    ['with one offset', one('"dtype":"F32","shape":[],"data_offsets":[4]'), /of two numbers/],
    ['that is a list', '[]', /the header: expected \{ at character 0/],
    ['that is empty', '', /expected \{ at character 0 of the header, found its end/],
    ['that ends early', '{"a":{"dtype":"F3', /found its end/],
    ['that goes on', '{} x', /something follows/],
    ['for a name without end', `{"${'x'.repeat(600)}":{${good}}}`, /a name of 600 letters/],
    ['for a raw line feed in a name', '{"a\n":{}}', /no JSON at character 1/],
  ];
  for (const [what, text, message] of cases)
    test(what, () => assert.throws(() => parseHeader(text), message));
});

test('tensors must lie side by side from the first byte to the last', () => {
  const at = (name: string, start: number, end: number, dtype = 'F32', shape?: number[]) => ({
    ...{ name, dtype, start, end },
    shape: shape ?? [(end - start) / 4],
  });
  checkTiling([at('b', 8, 8), at('c', 8, 12), at('a', 0, 8)], 12);
  const bad: [tensors: ReturnType<typeof at>[], bytes: number, message: RegExp][] = [
    [[at('a', 0, 8), at('b', 4, 12)], 12, /tensor "b" overlaps tensor "a"/],
    [[at('a', 0, 8), at('b', 0, 8)], 8, /tensor "b" overlaps tensor "a"/],
    [[at('a', 0, 8), at('b', 12, 16)], 16, /4 bytes before tensor "b" belong to no tensor/],
    [[at('a', 0, 8)], 12, /4 bytes at the end belong to no tensor/],
    [[at('a', 0, 8)], 4, /tensor "a" ends at byte 8 of data that has 4 bytes/],
    [[at('a', 8, 4, 'F32', [1])], 8, /tensor "a" ends at byte 4, before its start 8/],
    [[at('a', 0, 8, 'F32', [3])], 8, /tensor "a" of F32 \[3\] needs 12 bytes, it has 8/],
    [[at('a', 0, 8, 'C64', [1])], 8, /tensor "a" has an unknown dtype "C64"/],
    [[at('a', 0, 8, 'toString', [1])], 8, /tensor "a" has an unknown dtype/],
    [[at('a', 0, 8, 'F32', [2 ** 52, 2 ** 52])], 8, /tensor "a" of F32 .* it has 8/],
    [[], 1, /1 bytes at the end/],
  ];
  for (const [tensors, bytes, message] of bad)
    assert.throws(() => checkTiling(tensors, bytes), message);
});

test('whatever byte of a header is changed, it is read or refused in words of ours', () => {
  const text =
    '{"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},' +
    '"b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}}';
  let state = 7;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const letters = '{}[]",:\\0129.-eE tnu\u0000\u00ff';
  let refused = 0;
  for (let i = 0; i < 5000; i += 1) {
    const at = next(text.length);
    const end = at + next(3);
    const changed = text.slice(0, at) + letters[next(letters.length)] + text.slice(end);
    try {
      checkTiling(parseHeader(changed), 32);
    } catch (error) {
      assert.equal((error as Error).constructor, Error, changed);
      refused += 1;
    }
  }
  assert.ok(refused > 3000);
});
