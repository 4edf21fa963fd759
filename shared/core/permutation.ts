/**
 * Keyed permutations of [0, N): the order of samples within an epoch (NUMERICS 3).
 *
 * A balanced Feistel network over the smallest even number of bits that holds N, with Philox as
 * its round function; values that fall outside [0, N) walk the cycle until they fall inside, which
 * takes under four passes on average. No table is kept, so a billion images cost nothing, and
 * halves have at most 20 bits, so plain numbers do for N up to 2^40.
 */
import { keyOf, type Purpose } from './draws.ts';
import { philox } from './philox.ts';

const rounds = 8;
const two32 = 4294967296;
const countMax = 1099511627776;
const block = new Uint32Array(4);

/** The permutation of [0, count) for an epoch, as a function of the place in the epoch. */
export function permutation(
  seed: number,
  epoch: number,
  count: number,
  purpose: Purpose = 'permutation',
): (index: number) => number {
  if (!Number.isSafeInteger(count) || count < 1 || count > countMax) {
    throw new RangeError(`a permutation needs 1 to 2^40 elements, found ${count}`);
  }
  if (!Number.isSafeInteger(epoch) || epoch < 0) {
    throw new RangeError(`an epoch is a whole number from 0, found ${epoch}`);
  }
  const [key0, key1] = keyOf(seed, purpose);
  const epochHigh = Math.floor(epoch / two32);
  let half = 2;
  while (half * half < count) half *= 2;
  const mask = half - 1;

  const once = (value: number): number => {
    let left = Math.floor(value / half);
    let right = value - left * half;
    for (let round = 0; round < rounds; round += 1) {
      philox(right, round, epoch, epochHigh, key0, key1, block);
      const mixed = left ^ (block[0]! & mask);
      left = right;
      right = mixed;
    }
    return left * half + right;
  };

  return (index) => {
    if (!Number.isSafeInteger(index) || index < 0 || index >= count) {
      throw new RangeError(`an index from 0 to ${count - 1} was expected, found ${index}`);
    }
    if (count === 1) return 0;
    let value = once(index);
    while (value >= count) value = once(value);
    return value;
  };
}

/** One value of `permutation(seed, epoch, count)`. */
export function permute(seed: number, epoch: number, count: number, index: number): number {
  return permutation(seed, epoch, count)(index);
}
