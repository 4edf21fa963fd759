/**
 * The k-nearest-neighbour measure of a network, from the features that workers extracted.
 *
 * Queries are the last 15 % of π(seed, 0), references the rest (NUMERICS 3); k = 20, T = 0.07,
 * cosine similarity (Wu et al. 2018, as in the SimSiam authors' monitor).
 */
import { setImmediate as yieldLoop } from 'node:timers/promises';
import {
  classesOf,
  knnResult,
  type KnnResult,
  knnVote,
  normaliseRows,
} from '../../shared/core/knn.ts';
import { permutation } from '../../shared/core/permutation.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { shareCount } from '../../shared/core/split.ts';

const neighbours = 20;
const temperature = 0.07;
const queryShare = 0.15;
/** Features of more images than this are not kept in memory. */
export const surveyImagesMax = 100_000;

/** One number a class, in the order of the names; null where the data has no classes. */
export function labelsOf(samples: readonly Sample[]): number[] | null {
  const names = [...new Set(samples.map((s) => s.label))].sort();
  if (names.includes(null) || names.length < 2) return null;
  const numbers = new Map(names.map((name, i) => [name, i]));
  return samples.map((s) => numbers.get(s.label) ?? 0);
}

/** Which samples ask and which are asked. */
export function splitOf(seed: number, count: number): { queries: number[]; references: number[] } {
  const order = permutation(seed, 0, count);
  const first = count - shareCount(count, queryShare);
  const all = Array.from({ length: count }, (_, i) => order(i));
  return { queries: all.slice(first), references: all.slice(0, first) };
}

/** Measures without holding the loop for more than a few milliseconds at a time. */
export async function measureKnn(
  features: Float32Array,
  width: number,
  labels: number[],
  seed: number,
): Promise<KnnResult> {
  const { queries, references } = splitOf(seed, labels.length);
  const task = {
    features: normaliseRows(features, width),
    labels,
    references,
    width,
    k: Math.min(neighbours, references.length),
    temperature,
  };
  const classes = classesOf(labels);
  const predictions: number[] = [];
  for (const query of queries) {
    predictions.push(knnVote(task, query, classes).ranking[0] ?? 0);
    await yieldLoop();
  }
  return knnResult(task, queries, predictions);
}
