/**
 * The dense layer of a probe on some rows of features: logits, cross-entropy, gradient, in f64.
 *
 * The order of every addition is fixed here: a logit is a sum over the channels in order, a loss one
 * over the rows, a gradient one over groups of four rows. So the bits are the same everywhere.
 */
import { exp, log } from './exact.ts';
import type { Dense } from './probe-rules.ts';

export interface ProbeTask {
  /** [n, width] */
  features: Float32Array;
  width: number;
  /** Class of each row, from 0. */
  labels: readonly number[];
  classes: number;
  /** Rows that are learned from. */
  learned: readonly number[];
  /** Rows whose loss says when to stop. */
  stopped: readonly number[];
}

/** Class given to each of some rows: the greatest logit, the first of equal ones. */
export function predictRows(task: ProbeTask, dense: Dense, rows: readonly number[]): number[] {
  const { classes } = task;
  const logits = logitsOf(task, dense, rows);
  return rows.map((_, i) => {
    let best = 0;
    for (let c = 1; c < classes; c += 1)
      if (logits[i * classes + c]! > logits[i * classes + best]!) best = c;
    return best;
  });
}

/** Mean cross-entropy of some rows. */
export function meanLoss(task: ProbeTask, dense: Dense, rows: readonly number[]): number {
  const logits = logitsOf(task, dense, rows);
  return softmaxRows(task, logits, rows) / rows.length;
}

/**
 * [rows, classes]: bias + Σ w·x, channels in order. Four rows side by side, each with a sum of its
 * own, so that they do not wait for one another; a row's value does not depend on its neighbours.
 */
function logitsOf(task: ProbeTask, dense: Dense, rows: readonly number[]): Float64Array {
  const { features: x, width, classes } = task;
  const { weights: w, bias } = dense;
  const logits = new Float64Array(rows.length * classes);
  for (let i = 0; i < rows.length; i += 4) {
    // Beyond the end a row is computed once more and thrown away.
    const at = (k: number) => rows[Math.min(i + k, rows.length - 1)]! * width;
    const [a, b, c, d] = [at(0), at(1), at(2), at(3)];
    for (let k = 0; k < classes; k += 1) {
      const first = k * width;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let j = 0; j < width; j += 1) {
        const v = w[first + j]!;
        s0 += v * x[a + j]!;
        s1 += v * x[b + j]!;
        s2 += v * x[c + j]!;
        s3 += v * x[d + j]!;
      }
      const sums = [s0, s1, s2, s3];
      const most = Math.min(4, rows.length - i);
      for (let r = 0; r < most; r += 1) logits[(i + r) * classes + k] = sums[r]! + bias[k]!;
    }
  }
  return logits;
}

/** Turns logits into softmax less one-hot, in place; returns the sum of the cross-entropies. */
function softmaxRows(task: ProbeTask, logits: Float64Array, rows: readonly number[]): number {
  const { classes, labels } = task;
  let total = 0;
  for (let i = 0; i < rows.length; i += 1) {
    const first = i * classes;
    let most = logits[first]!;
    for (let k = 1; k < classes; k += 1) most = Math.max(most, logits[first + k]!);
    let sum = 0;
    const label = labels[rows[i]!]!;
    const shifted = logits[first + label]! - most;
    for (let k = 0; k < classes; k += 1) {
      const power = exp(logits[first + k]! - most);
      logits[first + k] = power;
      sum += power;
    }
    for (let k = 0; k < classes; k += 1) logits[first + k] = logits[first + k]! / sum;
    logits[first + label] = logits[first + label]! - 1;
    total += log(sum) - shifted;
  }
  return total;
}

/** Gradient of the mean cross-entropy of some rows; four rows are added up at a time. */
export function gradientOf(
  task: ProbeTask,
  dense: Dense,
  rows: readonly number[],
  into: Dense,
): void {
  const { features: x, width, classes } = task;
  const slopes = logitsOf(task, dense, rows);
  softmaxRows(task, slopes, rows);
  const n = rows.length;
  into.weights.fill(0);
  into.bias.fill(0);
  const g = into.weights;
  const slope = (row: number, k: number) => (row < n ? slopes[row * classes + k]! / n : 0);
  for (let i = 0; i < n; i += 4) {
    const at = (k: number) => rows[Math.min(i + k, n - 1)]! * width;
    const [a, b, c, d] = [at(0), at(1), at(2), at(3)];
    for (let k = 0; k < classes; k += 1) {
      const first = k * width;
      const [s0, s1, s2, s3] = [slope(i, k), slope(i + 1, k), slope(i + 2, k), slope(i + 3, k)];
      into.bias[k] = into.bias[k]! + (s0 + s1 + (s2 + s3));
      for (let j = 0; j < width; j += 1)
        g[first + j] =
          g[first + j]! + (s0 * x[a + j]! + s1 * x[b + j]! + (s2 * x[c + j]! + s3 * x[d + j]!));
    }
  }
}
