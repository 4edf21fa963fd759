/**
 * What an evaluation of a checkpoint says: the form of `evaluations/*.json` in a run folder, of
 * `tandem eval --json`, and of what reports draw.
 *
 * Everything but `time` and `device` is a function of checkpoint, data and protocol within a device
 * class. Shares are from 0 to 1. Of several probe seeds, `accuracy` is the mean, `standardError`
 * the error of a share over `n` images, √(p(1 − p) / n), and `seedError` that of the mean over the
 * seeds, s / √seeds (0 with one seed): the first says how far other photographs would move it.
 */
import type { ModelName, Precision } from './method.ts';

export const evaluationVersion = 1;

/** Which network was measured. */
export interface EvaluatedCheckpoint {
  /** Name of the run: the last part of its folder. */
  run: string;
  /** Steps committed; 0: untrained. */
  step: number;
  /** Epochs of training behind it, a fraction. */
  epoch: number;
  /** SHA-256 of its `model.safetensors`, hex. */
  digest: string;
  model: ModelName;
  precision: Precision;
  /** SHA-256 over the backbone's weights and running statistics as evaluated, before and after. */
  backbone: string;
  /** Running statistics were measured anew on the training part (`--calibrate`). */
  calibrated: boolean;
  /** Whose names the file of an imported encoder had; absent: trained here. Its step is 0. */
  imported?: string;
}

/** Which images it was measured on. */
export interface EvaluatedData {
  /** As given: a folder's name, `synthetic:320`. Never a path above it. */
  name: string;
  fingerprint: string;
  /** Images of the data set. */
  images: number;
  /** Side of an evaluation image, pixels. */
  size: number;
  /** `held-out`: trained on the rest, measured on the images held out. `training`: those held out
   * are not touched; a share of the training part stands in for them, to choose on. */
  split: 'held-out' | 'training';
  /** Share that is measured on, and the seed that drew it. */
  share: number;
  seed: number;
  /** Images that a probe or vote learns from, stops on (0: on those it is measured on). */
  learned: number;
  stoppedOn: number;
}

export interface LinearProtocol {
  /** `simsiam-tf`: Adam, stops early. `paper`: SGD with LARS, cosine. */
  name: 'simsiam-tf' | 'paper';
  epochs: number;
  batch: number;
  learningRate: number;
  /** Epochs without a smaller validation loss before it stops; null: never. */
  patience: number | null;
  /** Features are centred and scaled by the mean and standard deviation of what is learned from. */
  standardised: boolean;
}

export interface KnnProtocol {
  name: 'knn';
  k: number;
  temperature: number;
  standardised: boolean;
}

/** The network's own classifier, of a supervised run. */
export interface ClassifierProtocol {
  name: 'classifier';
  standardised: false;
}

export type Protocol = LinearProtocol | KnnProtocol | ClassifierProtocol;

export interface ClassResult {
  label: string;
  /** Images of the class that were measured. */
  n: number;
  /** Mean over the seeds; null where none of the class was measured (an older file has 0). */
  accuracy: number | null;
}

/** Accuracy of a class; null where it says nothing, whatever the file has. */
export const classAccuracy = ({ n, accuracy }: ClassResult): number | null =>
  n === 0 ? null : accuracy;

/** One probe. */
export interface ProbeResult {
  seed: number;
  accuracy: number;
  /** Mean cross-entropy of the images stopped on (or measured on), of the epoch that was kept. */
  loss: number;
  /** Epochs computed, and the one whose weights were kept (from 1). */
  epochs: number;
  kept: number;
}

export interface Evaluation {
  version: number;
  kind: 'linear' | 'knn' | 'classifier';
  accuracy: number;
  standardError: number;
  seedError: number;
  /** Images measured. */
  n: number;
  perClass: ClassResult[];
  /** Rows: true class, columns: predicted class, in the order of `perClass`; counts over all seeds. */
  confusion: number[][];
  /** Digest of the checkpoint, as in `checkpoint`. */
  digest: string;
  checkpoint: EvaluatedCheckpoint;
  data: EvaluatedData;
  protocol: Protocol;
  /** One a seed; empty for kNN and a classifier, which draw nothing. */
  probes: ProbeResult[];
  /** Mean over channels of the unbiased standard deviation of features divided by their length. */
  featureStd: number;
  featureWidth: number;
  /** SHA-256 over the features of all images (f32, little-endian), in the data set's order, hex. */
  features: string;
  /** What computed the features. */
  device: string;
  /** ISO 8601, UTC. */
  time: string;
}

/** Where evaluations lie in a run folder. */
export const evaluationsFolder = 'evaluations';

/** The evaluation in a parsed JSON value, or null where it is none of this version. */
export function asEvaluation(value: unknown): Evaluation | null {
  const found = value as Partial<Evaluation> | null;
  const whole =
    typeof found === 'object' &&
    found !== null &&
    found.version === evaluationVersion &&
    ['linear', 'knn', 'classifier'].includes(found.kind ?? '') &&
    Number.isFinite(found.accuracy) &&
    Number.isFinite(found.standardError) &&
    Array.isArray(found.perClass) &&
    Array.isArray(found.confusion) &&
    Array.isArray(found.probes) &&
    typeof found.checkpoint === 'object' &&
    typeof found.data === 'object' &&
    typeof found.protocol === 'object';
  return whole ? (found as Evaluation) : null;
}
