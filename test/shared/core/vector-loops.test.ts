/** Vector loops give the bits of the loops in JavaScript, for any values, lengths and places. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sharedMemory } from '../../../shared/core/shared-memory.ts';
import { type Loops, loopsOver } from '../../../shared/core/vector-loops.ts';
import { bytesOf } from '../../../shared/wire/tensors.ts';
import { drawsOf } from '../../support/draws.ts';

const elements = 1 << 17;
const vectors = 5;

/** Vectors of all finite f32 there are: any bits, but exponents of infinity. */
function fill(buffer: SharedArrayBuffer, seed: number): void {
  const draw = drawsOf(seed);
  const bits = new Uint32Array(buffer);
  for (let i = 0; i < bits.length; i += 1) {
    const word = Math.floor(draw() * 2 ** 32);
    const isFinite = (word & 0x7f80_0000) !== 0x7f80_0000;
    bits[i] = isFinite ? word : word & 0x807f_ffff; // a denormal in its place
  }
}

/** The same call on the same values by both; equal bits in all of the memory. */
function agree(call: (loops: Loops, of: (i: number) => Float32Array, all: Uint8Array) => void) {
  const bits = ['vectors', 'loops'].map((who) => {
    const { buffer, wasm } = sharedMemory(4 * elements * vectors);
    assert.ok(wasm !== null);
    fill(buffer, 7);
    const of = (i: number) => new Float32Array(buffer, 4 * elements * i, elements);
    call(loopsOver(who === 'vectors' ? wasm : null), of, new Uint8Array(buffer));
    return Buffer.from(buffer.slice(0));
  });
  assert.ok(bits[0]!.equals(bits[1]!));
}

const ranges: [from: number, to: number][] = [
  [0, elements],
  [0, 0],
  [3, 4],
  [1, 16],
  [1, 17],
  [5, 1000],
  [7, 4096],
  [13, elements - 3],
];

describe('vector loops', () => {
  for (const [from, to] of ranges) {
    test(`elements ${from} to ${to}`, () => {
      agree(({ addInto }, of) => addInto(of(0).subarray(from, to), of(1).subarray(from, to)));
      for (const leaves of [1, 3, 4, 1000])
        agree(({ scaleRoot }, of) => scaleRoot(of(2).subarray(from, to), leaves));
      agree(({ sgdStep }, of) =>
        sgdStep({
          ...{ weights: of(0), momentum: of(1), gradient: of(2) },
          ...{ nextWeights: of(3), nextMomentum: of(4), start: from, end: to },
          ...{ rate: 0.1, momentumFactor: 0.9, weightDecay: 5e-4 },
        }),
      );
      agree(({ roundTo }, of, all) => {
        const begin = 4 * elements + 2 * from;
        assert.equal(roundTo(of(0).subarray(from, to), all, begin), begin + 2 * (to - from));
      });
    });
  }

  test('values are used: sums that round, denormals that stay, ties that go to even', () => {
    const { buffer, wasm } = sharedMemory(4 * elements);
    const values = new Float32Array(buffer);
    const { addInto, roundTo } = loopsOver(wasm);
    values.fill(1e-40, 0, 16);
    values.fill(3 * 2 ** -24, 16, 32);
    values.fill(1, 32, 64);
    addInto(values.subarray(0, 32), values.subarray(32, 64));
    assert.equal(values[31], 1 + 2 ** -22, 'a tie goes to the even one');
    values.fill(1e-40, 0, 64);
    addInto(values.subarray(0, 32), values.subarray(32, 64));
    assert.equal(values[0], 2 * Math.fround(1e-40));
    new Uint32Array(buffer).fill(0x3f81_8000, 0, 16);
    roundTo(values.subarray(0, 16), bytesOf(values), 64);
    assert.equal(new Uint16Array(buffer, 64, 16)[15], 0x3f82);
  });

  test('unequal lengths are refused, small memory has no vectors', () => {
    const { buffer, wasm } = sharedMemory(4 * elements);
    const values = new Float32Array(buffer);
    const { addInto } = loopsOver(wasm);
    assert.throws(() => addInto(values.subarray(0, 32), values.subarray(32, 48)), RangeError);
    assert.equal(sharedMemory(64).wasm, null);
  });
});
