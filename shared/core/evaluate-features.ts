/**
 * From features to figures: what a linear probe or a kNN vote says of them.
 *
 * Pure, in fixed orders of addition, so the figures are a function of features, labels, split and
 * protocol. Generators, so that a caller can yield to its loop and draw progress: a step of
 * one is a few milliseconds to a few tens of them.
 */
import type { ClassResult, KnnProtocol, LinearProtocol, ProbeResult } from './evaluation.ts';
import type { EvaluationSplit } from './evaluation-split.ts';
import { standardise } from './feature-statistics.ts';
import { knnVote, normaliseRows } from './knn.ts';
import type { Labels } from './labels.ts';
import type { Dense } from './probe-rules.ts';
import { drawsOf, trainProbe } from './probe.ts';
import { predictRows, type ProbeTask } from './probe-layer.ts';

export interface Measurable {
  /** [n, width] */
  features: Float32Array;
  width: number;
  labels: Labels;
  split: EvaluationSplit;
}

export interface Measured {
  accuracy: number;
  standardError: number;
  seedError: number;
  n: number;
  perClass: ClassResult[];
  confusion: number[][];
  probes: ProbeResult[];
}

/** How far a measure is. */
export interface MeasureProgress {
  /** Seed of the probe; absent for kNN. */
  seed?: number;
  done: number;
  of: number;
}

/** Trains a probe a seed and counts what each says. */
export function* measureLinear(
  { features, width, labels, split }: Measurable,
  protocol: LinearProtocol,
  seeds: readonly number[],
): Generator<MeasureProgress, Measured> {
  const seen = protocol.standardised ? standardise(features, width, split.learned) : features;
  const task: ProbeTask = {
    features: seen,
    width,
    labels: labels.of,
    classes: labels.names.length,
    learned: split.learned,
    stopped: split.stopped,
  };
  const probes: ProbeResult[] = [];
  const answers: number[][] = [];
  for (const seed of seeds) {
    const training = trainProbe(task, protocol, drawsOf(task, protocol, seed));
    let turn = training.next();
    for (; turn.done !== true; turn = training.next())
      yield { seed, done: turn.value.epoch, of: protocol.epochs };
    const { dense, loss, epochs, kept } = turn.value;
    const predicted = predictRows(task, dense, split.measured);
    answers.push(predicted);
    probes.push({
      seed,
      accuracy: shareRight(labels, split.measured, predicted),
      loss,
      epochs,
      kept,
    });
  }
  return { ...counted(labels, split.measured, answers), probes };
}

/** The vote of the images learned from on each image measured. */
export function* measureKnn(
  { features, width, labels, split }: Measurable,
  { k, temperature, standardised }: KnnProtocol,
): Generator<MeasureProgress, Measured> {
  const seen = standardised ? standardise(features, width, split.learned) : features;
  const task = {
    features: normaliseRows(seen, width),
    width,
    labels: labels.of,
    references: split.learned,
    k: Math.min(k, split.learned.length),
    temperature,
  };
  const predicted: number[] = [];
  for (const row of split.measured) {
    predicted.push(knnVote(task, row, labels.names.length).ranking[0] ?? 0);
    yield { done: predicted.length, of: split.measured.length };
  }
  return { ...counted(labels, split.measured, [predicted]), probes: [] };
}

/** What the network's own layer says: classes in the order of the labels' names. */
export function measureClassifier(
  { features, width, labels, split }: Measurable,
  dense: Dense,
): Measured {
  const classes = labels.names.length;
  const task = { features, width, labels: labels.of, classes, learned: [], stopped: [] };
  const predicted = predictRows(task, dense, split.measured);
  return { ...counted(labels, split.measured, [predicted]), probes: [] };
}

function shareRight(labels: Labels, rows: readonly number[], predicted: readonly number[]): number {
  return rows.filter((row, i) => labels.of[row] === predicted[i]).length / rows.length;
}

/** Accuracies and confusion of one or several sets of predictions for the same rows. */
export function counted(
  labels: Labels,
  rows: readonly number[],
  answers: readonly (readonly number[])[],
): Omit<Measured, 'probes'> {
  const { names } = labels;
  const confusion = names.map(() => names.map(() => 0));
  for (const predicted of answers) {
    for (const [i, row] of rows.entries()) {
      const ofTrue = confusion[labels.of[row] ?? 0];
      const guess = predicted[i] ?? 0;
      if (ofTrue !== undefined) ofTrue[guess] = (ofTrue[guess] ?? 0) + 1;
    }
  }
  const accuracies = answers.map((predicted) => shareRight(labels, rows, predicted));
  const mean = accuracies.reduce((sum, one) => sum + one, 0) / accuracies.length;
  const squares = accuracies.reduce((sum, one) => sum + (one - mean) * (one - mean), 0);
  const seeds = accuracies.length;
  return {
    accuracy: mean,
    standardError: Math.sqrt((mean * (1 - mean)) / rows.length),
    seedError: seeds < 2 ? 0 : Math.sqrt(squares / (seeds - 1) / seeds),
    n: rows.length,
    perClass: names.map((label, i) => {
      const all = (confusion[i] ?? []).reduce((sum, count) => sum + count, 0);
      const accuracy = all === 0 ? null : (confusion[i]?.[i] ?? 0) / all;
      return { label, n: all / seeds, accuracy };
    }),
    confusion,
  };
}
