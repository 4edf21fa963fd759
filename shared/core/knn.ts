/**
 * Weighted k-nearest-neighbour accuracy, the field's quick look at a representation (Wu et al.
 * 2018, *Instance discrimination*; SimSiam's CIFAR curve).
 *
 * Rows are L2-normalised, the k references with the greatest cosine similarity vote for their class
 * with exp(similarity / T). Ties go to the reference, and to the class, that stands first. One
 * query at a time (`knnVote`), so that a caller can yield between them.
 */
import { exp } from './exact.ts';

export interface KnnVote {
  /** Score of each class, [classes]; with a T near 0 in votes of the nearest reference. */
  scores: Float64Array;
  /** Classes from the greatest score to the least. */
  ranking: number[];
}

export interface KnnTask {
  /** [n, width], rows as `normaliseRows` leaves them. */
  features: Float32Array;
  width: number;
  /** Class of each row, from 0. */
  labels: readonly number[];
  /** Rows that vote. */
  references: readonly number[];
  k: number;
  temperature: number;
}

export interface KnnResult {
  /** Share of queries whose class came first, 0 to 1. */
  accuracy: number;
  /** √(p(1 − p) / n). */
  standardError: number;
  queries: number;
  references: number;
  /** Class given to each query. */
  predictions: number[];
}

/** A copy of [n, width] features with each row divided by its Euclidean length; zero rows stay. */
export function normaliseRows(features: Float32Array, width: number): Float32Array {
  const rows = new Float32Array(features.length);
  for (let first = 0; first < features.length; first += width) {
    let squares = 0;
    for (let j = first; j < first + width; j += 1) squares += features[j]! * features[j]!;
    const length = squares > 0 ? Math.sqrt(squares) : 1;
    for (let j = first; j < first + width; j += 1) rows[j] = features[j]! / length;
  }
  return rows;
}

/**
 * Exponents beyond ± this are counted from the greatest, so that a vote neither overflows nor is 0
 * for all. Within it they stay as they are: the bits of their votes are golden, and a common factor
 * of all scores decides nothing.
 */
const exponentMax = 500;

/** Scores of `classes` classes from similarities and the class of each reference beside them. */
export function voteBySimilarity(
  similarities: ArrayLike<number>,
  labels: ArrayLike<number>,
  k: number,
  temperature: number,
  classes: number,
): KnnVote {
  const nearest: number[] = [];
  for (let i = 0; i < similarities.length; i += 1) {
    const similarity = similarities[i]!;
    if (nearest.length === k && similarity <= similarities[nearest[k - 1]!]!) continue;
    let place = nearest.length;
    while (place > 0 && similarities[nearest[place - 1]!]! < similarity) place -= 1;
    nearest.splice(place, 0, i);
    if (nearest.length > k) nearest.pop();
  }
  const scores = new Float64Array(classes);
  const most = similarities[nearest[0] ?? 0] ?? 0;
  const from = Math.abs(most / temperature) <= exponentMax ? 0 : most;
  for (const i of nearest) {
    const label = labels[i]!;
    scores[label] = scores[label]! + exp((similarities[i]! - from) / temperature);
  }
  const ranking = Array.from({ length: classes }, (_, label) => label);
  ranking.sort((a, b) => scores[b]! - scores[a]! || a - b);
  return { scores, ranking };
}

/** The vote for one query row; `classes` is one more than the greatest label unless given. */
export function knnVote(task: KnnTask, query: number, classes = classesOf(task.labels)): KnnVote {
  const { features, width, labels, references } = task;
  const similarities = new Float64Array(references.length);
  const classOf = new Int32Array(references.length);
  for (let at = 0; at < references.length; at += 1) {
    const row = references[at]!;
    similarities[at] = dot(features, query * width, row * width, width);
    classOf[at] = labels[row]!;
  }
  return voteBySimilarity(similarities, classOf, task.k, task.temperature, classes);
}

/** Inner product of two rows; four sums side by side, for one would wait on itself. */
function dot(features: Float32Array, a: number, b: number, width: number): number {
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  let j = 0;
  for (; j + 4 <= width; j += 4) {
    sum0 += features[a + j]! * features[b + j]!;
    sum1 += features[a + j + 1]! * features[b + j + 1]!;
    sum2 += features[a + j + 2]! * features[b + j + 2]!;
    sum3 += features[a + j + 3]! * features[b + j + 3]!;
  }
  for (; j < width; j += 1) sum0 += features[a + j]! * features[b + j]!;
  return sum0 + sum1 + (sum2 + sum3);
}

/** Accuracy and its standard error from the classes that `knnVote` gave to the queries. */
export function knnResult(
  task: Pick<KnnTask, 'labels' | 'references'>,
  queries: readonly number[],
  predictions: number[],
): KnnResult {
  const right = queries.filter((row, at) => task.labels[row] === predictions[at]).length;
  const accuracy = right / queries.length;
  return {
    accuracy,
    standardError: Math.sqrt((accuracy * (1 - accuracy)) / queries.length),
    queries: queries.length,
    references: task.references.length,
    predictions,
  };
}

/** All at once: normalises [n, width] features, votes for every query, counts. */
export function knnAccuracy(task: KnnTask & { queries: readonly number[] }): KnnResult {
  const normalised = { ...task, features: normaliseRows(task.features, task.width) };
  const classes = classesOf(task.labels);
  const predictions = task.queries.map((row) => knnVote(normalised, row, classes).ranking[0]!);
  return knnResult(task, task.queries, predictions);
}

/** Number of classes: one more than the greatest label. */
export function classesOf(labels: readonly number[]): number {
  let most = -1;
  for (const label of labels) most = Math.max(most, label);
  return most + 1;
}
