/**
 * Draws by address: a random number is a function of where it is used, never of how many came
 * before (NUMERICS 3).
 *
 * The address (seed, purpose, position, view, index) becomes one Philox block per two indices:
 * counter = (⌊index / 2⌋, view, position low, position high), key = (seed low, seed high and
 * purpose). Even indices take words 0 and 1 of the block, odd ones words 2 and 3. A draw has 53
 * bits, so 1 - u is exact and never 0. Seed and position are whole numbers below 2^53.
 */
import { normalPairInto } from './exact.ts';
import { philox } from './philox.ts';

/** What a draw is for: numbers are part of the numerics, so they are never reused or changed. */
export const purposes = {
  permutation: 1,
  initial: 2,
  crop: 3,
  flip: 4,
  jitter: 5,
  gray: 6,
  blur: 7,
  canary: 8,
  audit: 9,
  knn: 10,
  synthetic: 11,
  validation: 12,
  probe: 13,
  probeOrder: 14,
  probeSplit: 15,
  probeStop: 16,
  calibration: 17,
} as const;
export type Purpose = keyof typeof purposes;

const two32 = 4294967296;
const two26 = 67108864;
const inverseTwo53 = 1 / 9007199254740992;
const block = new Uint32Array(4);

/** The two key words of a seed and purpose: 53 bits of seed, 11 bits of purpose. */
export function keyOf(seed: number, purpose: Purpose): [number, number] {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`a seed is a whole number from 0 to 2^53 - 1, found ${seed}`);
  }
  return [seed >>> 0, (Math.floor(seed / two32) | (purposes[purpose] << 21)) >>> 0];
}

/** 53 bits of two words as a number in [0, 1). */
function unit(high: number, low: number): number {
  return ((high >>> 5) * two26 + (low >>> 6)) * inverseTwo53;
}

/** The draw at an address, uniform in [0, 1); `index` is below 2^33. */
export function uniform(
  seed: number,
  purpose: Purpose,
  position: number,
  view: number,
  index: number,
): number {
  const [key0, key1] = keyOf(seed, purpose);
  philox(Math.floor(index / 2), view, position, Math.floor(position / two32), key0, key1, block);
  return index % 2 === 0 ? unit(block[0]!, block[1]!) : unit(block[2]!, block[3]!);
}

/** Fills `out` with `uniform(seed, purpose, stream, 0, firstIndex + i)`. */
export function fillUniform(
  out: Float32Array | Float64Array,
  seed: number,
  purpose: Purpose,
  stream: number,
  firstIndex: number,
): void {
  const [key0, key1] = keyOf(seed, purpose);
  const high = Math.floor(stream / two32);
  let index = firstIndex;
  let i = 0;
  while (i < out.length) {
    philox(Math.floor(index / 2), 0, stream, high, key0, key1, block);
    if (index % 2 === 0) {
      out[i] = unit(block[0]!, block[1]!);
      i += 1;
      index += 1;
    }
    if (i < out.length) {
      out[i] = unit(block[2]!, block[3]!);
      i += 1;
      index += 1;
    }
  }
}

/**
 * Fills `out` with normal values of mean 0 and standard deviation `scale`: elements 2j and 2j + 1
 * are the Box-Muller pair of the draws at indices 2j and 2j + 1 of the stream.
 */
export function fillNormal(
  out: Float32Array | Float64Array,
  scale: number,
  seed: number,
  purpose: Purpose,
  stream: number,
): void {
  const [key0, key1] = keyOf(seed, purpose);
  const high = Math.floor(stream / two32);
  const whole = out.length - (out.length % 2);
  for (let i = 0; i < whole; i += 2) {
    philox(i / 2, 0, stream, high, key0, key1, block);
    normalPairInto(unit(block[0]!, block[1]!), unit(block[2]!, block[3]!), scale, out, i);
  }
  if (whole === out.length) return;
  const last = new Float64Array(2);
  philox(whole / 2, 0, stream, high, key0, key1, block);
  normalPairInto(unit(block[0]!, block[1]!), unit(block[2]!, block[3]!), scale, last, 0);
  out[whole] = last[0]!;
}
