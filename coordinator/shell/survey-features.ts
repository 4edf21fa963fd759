/**
 * What a survey collects, and the k-nearest-neighbour measure of a network from its features.
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
import { shareCount } from '../../shared/core/split.ts';
import { surveyChunk, type SurveyWork } from '../core/state.ts';
import { chunksOf } from '../core/survey.ts';
import type { Served } from './run-context.ts';

const neighbours = 20;
const temperature = 0.07;
const queryShare = 0.15;
/** Features of more images than this are not kept in memory. */
export const surveyImagesMax = 100_000;

/** Where the answer to one chunk lies in what a survey collects, f32 values. */
export interface SurveyPart {
  offset: number;
  /** 0 where there is no such chunk. */
  length: number;
}

/** [samples, featureWidth], or [chunks, statisticCount]: the answers of all chunks, end to end. */
export function surveyLength(served: Served, work: SurveyWork): number {
  const { architecture } = served.model;
  const { samples, surveys } = served.plan;
  if (work === 'features') return samples * architecture.featureWidth;
  const images = surveys?.find((asked) => asked.work === work)?.images ?? samples;
  return chunksOf({ work, images }) * architecture.statisticCount;
}

export function surveyPart(served: Served, work: SurveyWork, chunk: number): SurveyPart {
  const { architecture } = served.model;
  if (work === 'moments') {
    const length = architecture.statisticCount;
    return { offset: chunk * length, length };
  }
  const width = architecture.featureWidth;
  const first = chunk * surveyChunk;
  const images = Math.min(surveyChunk, served.plan.samples - first);
  return { offset: first * width, length: Math.max(0, images) * width };
}

/** Which samples ask and which are asked. */
export function splitOf(seed: number, count: number): { queries: number[]; references: number[] } {
  const order = permutation(seed, 0, count);
  const first = count - shareCount(count, queryShare);
  const all = Array.from({ length: count }, (_, i) => order(i));
  return { queries: all.slice(first), references: all.slice(0, first) };
}

/** Measures without holding the loop for longer than a query takes (some 40 ms at 100,000 images). */
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
