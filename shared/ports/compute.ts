/**
 * The compute port: what a worker asks of the machine that does the tensor arithmetic.
 *
 * One fixed shape for every training leaf. Weights stay loaded until others come. Every
 * implementation (TensorFlow, wasm) passes the same contract and parity suites.
 */
import type { ViewInput } from '../core/view.ts';
import type { WeightMemory } from '../core/weight-memory.ts';

export interface DeviceDescription {
  backend: 'tensorflow' | 'wasm';
  /** `GPU` or `CPU`, as the backend itself reports after its first allocation. */
  device: string;
  /** Version of TensorFlow or of the wasm backend. */
  version: string;
  /** Threads within an operation, and operations side by side. */
  intraOpThreads: number;
  interOpThreads: number;
  /** The step as one graph, or operation by operation. */
  mode?: 'compiled' | 'eager';
}

export interface LeafInput {
  /** [m, canvas, canvas, 3] */
  pixels: Uint8Array;
  view1: ViewInput;
  view2: ViewInput;
  /** Class of each image, [m]; only where the objective learns from labels. */
  labels?: Int32Array;
}

export interface LeafOutput {
  /**
   * Gradient of the mean loss over the micro-batch (parameterCount elements), then the batch-norm
   * moments of view 1 and of view 2 (statisticCount elements each: mean and *unbiased* variance).
   */
  payload: Float32Array;
  /** Mean loss of the micro-batch; f32 value. */
  loss: number;
  /** Mean over channels of the unbiased std of z/‖z‖, mean of both views; f32 value. */
  std: number;
  /** SHA-256 of the graph that computed it, hex; absent where operations ran one by one. */
  graph?: string;
}

export interface Compute {
  describe(): DeviceDescription;
  /**
   * Weights and running statistics, laid out for the method's precision (shared/core/weight-layout).
   * They may be used where they lie: the memory stays as it is until the next `load` has resolved.
   */
  load(memory: WeightMemory): Promise<void>;
  /**
   * Training leaf: forward and backward of both views. Running statistics are not touched. The payload
   * is written to `into` where that is given.
   */
  leaf(input: LeafInput, into?: Float32Array): Promise<LeafOutput>;
  /** Pooled encoder features in inference mode, [n, featureWidth]; any n ≥ 1. */
  features(pixels: Uint8Array, view: ViewInput): Promise<Float32Array>;
  /**
   * Batch-norm moments of the backbone in training mode over these images: mean and *unbiased*
   * variance, laid out as the running statistics are; those of the heads stay 0.
   */
  moments(pixels: Uint8Array, view: ViewInput): Promise<Float32Array>;
  /** One view as it enters the network but before normalisation, [n, size, size, 3] in [0, 1]. */
  view(pixels: Uint8Array, view: ViewInput): Promise<Float32Array>;
  close(): Promise<void>;
}
