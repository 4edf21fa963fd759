/**
 * What the input hash of a leaf covers: positions, sample hashes and draws (NUMERICS 4).
 *
 * It holds no pixel, so whoever has the method and the sample list can make it again without the
 * photographs: the ledger thereby proves which samples each step held. What a worker's decoder made
 * of a file shows in the leaf's own hash.
 *
 * Bytes, for each slot in order: the 32 bytes of the file's SHA-256, then f64 little-endian: stream
 * position, 1 where the sample is mid-gray (nobody can decode it) else 0, the numbers of view 1, of
 * view 2 (`numbersOfView`).
 */
import { numbersOfView, viewNumbers } from './augment-draws.ts';
import type { Method } from './method.ts';
import { leafPositions, sampleAt } from './order.ts';

export type InputMethod = Pick<Method, 'seed' | 'batch' | 'microBatch' | 'augmentation'>;

export interface Slot {
  /** Stream position. */
  position: number;
  /** Index in the sample list. */
  sample: number;
}

/** The samples of micro-batch `leaf` of a step, slot by slot, of a list of `count`. */
export function slotsOf(method: InputMethod, count: number, step: number, leaf: number): Slot[] {
  const { seed, batch, microBatch } = method;
  return leafPositions(step, leaf, batch, microBatch).map((position) => ({
    position,
    sample: sampleAt(seed, count, position),
  }));
}

const hashBytes = 32;
const slotBytes = hashBytes + 8 * (2 + 2 * viewNumbers);

/** The bytes whose SHA-256 is the input hash. `hashOf` gives the 32 bytes of a sample's SHA-256. */
export function inputRecord(
  method: InputMethod,
  slots: readonly Slot[],
  hashOf: (sample: number) => Uint8Array,
  isGray: (sample: number) => boolean,
): Uint8Array {
  const { augmentation, seed } = method;
  const record = new Uint8Array(slots.length * slotBytes);
  const numbers = new DataView(record.buffer);
  slots.forEach(({ position, sample }, slot) => {
    let at = slot * slotBytes;
    record.set(hashOf(sample), at);
    at += hashBytes;
    const views = [1, 2].flatMap((view) => numbersOfView(augmentation, seed, position, view));
    for (const value of [position, isGray(sample) ? 1 : 0, ...views]) {
      numbers.setFloat64(at, value, true);
      at += 8;
    }
  });
  return record;
}
