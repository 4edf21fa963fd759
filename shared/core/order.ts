/**
 * The stream of samples: which image stands at which slot of which step (NUMERICS 3).
 *
 * Epochs are keyed permutations laid end to end and cut into batches; no tail is dropped or padded.
 * Position q = step · batch + slot, epoch e = ⌊q / count⌋, sample π(seed, e)(q mod count). All of
 * it is a pure function of the seed, so a preview, a restart or another world size sees the same.
 * Whole numbers below 2^53 divide and round down exactly.
 */
import { permutation } from './permutation.ts';

/** How long a run is: whole passes over the data, or optimizer updates. */
export type RunLength = { epochs: number } | { steps: number };

/** Steps of a run: T = K, or ⌈E · count / batch⌉. */
export function totalSteps(length: RunLength, count: number, batch: number): number {
  if ('steps' in length) return length.steps;
  const images = length.epochs * count;
  const whole = Math.floor(images / batch);
  return whole * batch < images ? whole + 1 : whole;
}

/** Stream position of a slot (0 to batch - 1) of a step. */
export function streamPosition(step: number, slot: number, batch: number): number {
  return step * batch + slot;
}

/** The epoch in which a position lies. */
export function epochOf(position: number, count: number): number {
  return Math.floor(position / count);
}

/** Epochs finished once `step` steps are committed, a fraction. */
export function epochsAfter(step: number, batch: number, count: number): number {
  return (step * batch) / count;
}

/** Index in the sample list of the image at a stream position. */
export function sampleAt(seed: number, count: number, position: number): number {
  return permutation(seed, epochOf(position, count), count)(position % count);
}

/** Stream positions of micro-batch `leaf` of a step: slots [leaf · m, (leaf + 1) · m). */
export function leafPositions(
  step: number,
  leaf: number,
  batch: number,
  microBatch: number,
): number[] {
  const first = streamPosition(step, leaf * microBatch, batch);
  return Array.from({ length: microBatch }, (_, slot) => first + slot);
}
