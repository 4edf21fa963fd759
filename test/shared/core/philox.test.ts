/** Philox against the known-answer vectors of Random123 (kat_vectors, philox4x32 10). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { philox } from '../../../shared/core/philox.ts';

type Six = [number, number, number, number, number, number];

const vectors: { input: Six; output: number[] }[] = [
  { input: [0, 0, 0, 0, 0, 0], output: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  {
    input: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    output: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    input: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0],
    output: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

test('philox4x32-10 gives the known answers of Random123', () => {
  const out = new Uint32Array(4);
  for (const { input, output } of vectors) {
    philox(...input, out);
    assert.deepEqual([...out], output);
  }
});

test('philox agrees with products of 64 bits on 2000 blocks', () => {
  const out = new Uint32Array(4);
  const mask = 0xffffffffn;
  for (let n = 0; n < 2000; n += 1) {
    philox(n, 1, 2, 3, 4, 5, out);
    const input: Six = [out[0]!, out[1]!, out[2]!, out[3]!, n, out[0]! ^ out[3]!];
    let [c0, c1, c2, c3, k0, k1] = input.map((word) => BigInt(word >>> 0)) as [
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    for (let round = 0; round < 10; round += 1) {
      const p0 = c0 * 0xd2511f53n;
      const p1 = c2 * 0xcd9e8d57n;
      [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
      k0 = (k0 + 0x9e3779b9n) & mask;
      k1 = (k1 + 0xbb67ae85n) & mask;
    }
    philox(...input, out);
    assert.deepEqual([...out].map(BigInt), [c0, c1, c2, c3]);
  }
});
