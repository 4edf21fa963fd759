/**
 * Held-out images: the last share of a keyed permutation of the sample list.
 *
 * Which images pre-training sees and which are kept for measuring is a function of seed, share and
 * the number of images, like every draw (NUMERICS 3); the permutation has a purpose of its own, so
 * the order of training says nothing about it. Both parts keep the order of the list.
 */
import type { Purpose } from './draws.ts';
import { permutation } from './permutation.ts';
import type { Sample } from './sample.ts';

/** Places in the sample list, ascending; together each of them once. */
export interface Split {
  training: number[];
  heldOut: number[];
}

/** How many of `count` the last share is: rounded down, at least 1; none of a share of 0. */
export function shareCount(count: number, share: number): number {
  return share === 0 ? 0 : Math.min(count, Math.max(1, Math.floor(count * share)));
}

/** Which of `count` samples are held out for a share in [0, 1). */
export function splitOf(
  seed: number,
  share: number,
  count: number,
  purpose: Purpose = 'validation',
): Split {
  const held = shareCount(count, share);
  if (held === 0) return { training: Array.from({ length: count }, (_, i) => i), heldOut: [] };
  const order = permutation(seed, 0, count, purpose);
  const isHeld = new Uint8Array(count);
  for (let place = count - held; place < count; place += 1) isHeld[order(place)] = 1;
  const split: Split = { training: [], heldOut: [] };
  for (let i = 0; i < count; i += 1) (isHeld[i] ? split.heldOut : split.training).push(i);
  return split;
}

/** Both parts of a sample list, each numbered from 0 as a list of its own. */
export function splitSamples(
  samples: readonly Sample[],
  seed: number,
  share: number,
): { training: Sample[]; heldOut: Sample[] } {
  const { training, heldOut } = splitOf(seed, share, samples.length);
  const listed = (places: readonly number[]): Sample[] =>
    places.map((place, index) => ({ ...samples[place]!, index }));
  return { training: listed(training), heldOut: listed(heldOut) };
}
