/**
 * The method: every choice that decides the bits of a checkpoint, and nothing else.
 *
 * A run's identity is the SHA-256 of the method's canonical JSON, the data fingerprint and the
 * device class (NUMERICS 1). What may differ from one resume to the next (workers, ports, paths,
 * checkpoint cadence) is an `Operation`. A field stands in exactly one of the two.
 */

/** 2: the input hash covers draws and sample hashes, no pixels. */
export const numericsVersion = 2;

export const modelNames = [
  'resnet18',
  'resnet34',
  'resnet50',
  'resnet18-cifar',
  'resnet34-cifar',
  'resnet50-cifar',
] as const;
export type ModelName = (typeof modelNames)[number];

/**
 * How convolutions and matrix products are computed. `tf32` shortens their inputs on NVIDIA's
 * tensor cores; `bf16` keeps them and the activations between them in bfloat16. Statistics, loss,
 * weight gradients' sums, update and wire are f32 in all three.
 */
export const precisions = ['f32', 'tf32', 'bf16'] as const;
export type Precision = (typeof precisions)[number];

/** What is trained for: SimSiam's loss without labels, or cross-entropy with them. */
export const objectives = ['simsiam', 'supervised'] as const;
export type ObjectiveName = (typeof objectives)[number];

/** Augmentation of the reference recipe (SimSiam, section 3; facebookresearch/simsiam). */
export interface AugmentationMethod {
  /** Share of the image's area that a crop takes, [least, most]. */
  cropScale: [number, number];
  /** Aspect ratio (width / height) of a crop, [least, most]; drawn uniformly in its logarithm. */
  cropRatio: [number, number];
  flipProbability: number;
  jitterProbability: number;
  brightness: number;
  contrast: number;
  saturation: number;
  /** In turns of the hue circle. */
  hue: number;
  grayProbability: number;
  /** 0 for the CIFAR recipe, which has no blur. */
  blurProbability: number;
  /** Standard deviation in pixels of the view, [least, most]. */
  blurSigma: [number, number];
}

export interface Method {
  numericsVersion: number;
  objective: ObjectiveName;
  /** Supervised: the names of the classes, in the order of their numbers; else absent. */
  classes?: readonly string[];
  model: ModelName;
  /** Side of a view, pixels. */
  size: number;
  /** Side of the square canvas in which a decoded image travels, pixels. */
  canvas: number;
  /** Global batch B, images. */
  batch: number;
  /** Micro-batch m, images; B is a multiple of m. */
  microBatch: number;
  /** Any whole number in [0, 2^53). */
  seed: number;
  /** T: the learning-rate schedule ends here. */
  totalSteps: number;
  /** Share of the images that is held out of training; absent: none. */
  validation?: number;
  /** Base learning rate, for B = 256. */
  learningRate: number;
  warmupSteps: number;
  momentum: number;
  weightDecay: number;
  augmentation: AugmentationMethod;
  precision: Precision;
  codec: 'f32';
}

export type Backend = 'tensorflow' | 'wasm';

/** What may differ from one resume to the next without touching the result. */
export interface Operation {
  /** A folder, or `synthetic`; null: workers fetch every sample from the coordinator. */
  data: string | null;
  workers: number;
  minWorkers: number;
  backend: Backend | 'auto';
  requireGpu: boolean;
  mixedDevices: boolean;
  /** Share of the micro-batches that two workers compute, 0 to 1. */
  audit: number;
  /** Steps between checkpoints. */
  checkpointEvery: number;
  /** Stop (with a checkpoint) once this many steps are committed; null: at the end. */
  stopAt: number | null;
  /** Measure k-nearest-neighbour accuracy before the first and after the last step. */
  knn: boolean;
  /** Steps between measures of the features; null: none. */
  monitorEvery: number | null;
  run: string | null;
  nats: string | null;
  /** HOST:PORT; port 0 takes a free one. */
  listen: string;
  insecure: boolean;
}
