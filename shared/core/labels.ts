/**
 * Classes of a sample list as numbers: one a name, in the order of the names.
 *
 * A list has classes where every image has one and there are two or more; anything else gives null,
 * and what needs labels says so.
 */
import type { Sample } from './sample.ts';

export interface Labels {
  /** Names in ascending order of their code units. */
  names: string[];
  /** Number of each sample's class. */
  of: number[];
}

/** Null where the list has no classes. */
export function labelled(samples: readonly Pick<Sample, 'label'>[]): Labels | null {
  const found = [...new Set(samples.map((sample) => sample.label))];
  const names = found.filter((name) => name !== null).sort();
  if (names.length < found.length || names.length < 2) return null;
  const numbers = new Map(names.map((name, i) => [name, i]));
  return { names, of: samples.map(({ label }) => numbers.get(label ?? '') ?? 0) };
}

/** One number a class; null where the data has no classes. */
export const labelsOf = (samples: readonly Pick<Sample, 'label'>[]): number[] | null =>
  labelled(samples)?.of ?? null;
