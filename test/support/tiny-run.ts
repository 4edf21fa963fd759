/**
 * A model of a few tensors, made by hand so that the interesting places fall on bucket and rate
 * borders, and what an honest cluster makes of it: leaf payloads, their plain recursive sum, the
 * update written out a second time.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { prepareRunFolder } from '../../coordinator/shell/run-folder.ts';
import type { Architecture, Initial, TensorSpec } from '../../shared/core/architecture-types.ts';
import { type Method, numericsVersion } from '../../shared/core/method.ts';
import type { DecodedImage, Sample } from '../../shared/core/sample.ts';
import { bucketElements } from '../../shared/wire/limits.ts';

const drawn: Initial = { kind: 'uniform-fan-in', fanIn: 3 };

function laidOut(tensors: [name: string, shape: number[], initial: Initial][]): {
  specs: TensorSpec[];
  count: number;
} {
  let offset = 0;
  const specs = tensors.map(([name, shape, initial]) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape, offset, length, initial };
    offset += length;
    return spec;
  });
  return { specs, count: offset };
}

function architectureFrom(
  parameters: [string, number[], Initial][],
  statistics: [string, number[], Initial][],
): Architecture {
  const p = laidOut(parameters);
  const s = laidOut(statistics);
  return {
    featureWidth: 2,
    outputWidth: 4,
    parameters: p.specs,
    parameterCount: p.count,
    statistics: s.specs,
    statisticCount: s.count,
  };
}

const constant = (value: number): Initial => ({ kind: 'constant', value });

/** A few dozen numbers. */
export const tinyModel: Architecture = architectureFrom(
  [
    ['encoder.conv1.weight', [2, 2, 3, 2], drawn],
    ['encoder.fc.bias', [5], constant(0)],
    ['predictor.0.weight', [4, 3], drawn],
    ['projector.0.weight', [3, 4], drawn],
  ],
  [
    ['encoder.bn1.running_mean', [2], constant(0)],
    ['encoder.bn1.running_var', [2], constant(1)],
  ],
);

/**
 * Three buckets: the predictor lies across the border of the first two, the moments begin within
 * the last.
 */
export const threeBuckets: Architecture = architectureFrom(
  [
    ['encoder.conv1.weight', [bucketElements - 1000], drawn],
    ['predictor.0.weight', [3000], drawn],
    ['projector.0.weight', [bucketElements + 500], drawn],
  ],
  [
    ['encoder.bn1.running_mean', [30], constant(0)],
    ['encoder.bn1.running_var', [30], constant(1)],
  ],
);

/** Numbers of many sizes, so that every change of order shows. */
export function payloadOf(architecture: Architecture, step: number, leaf: number): Float32Array {
  const length = architecture.parameterCount + 2 * architecture.statisticCount;
  const payload = new Float32Array(length);
  let state = (step * 7919 + leaf * 104729 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    payload[i] = ((state >>> 8) / 2 ** 24 - 0.5) * 2 ** (((state >>> 3) & 15) - 8);
  }
  return payload;
}

/** The sum over leaves [first, end), split after the largest power of two below its length. */
export function plainSum(
  leafPayload: (leaf: number) => Float32Array,
  first: number,
  end: number,
): Float32Array {
  const length = end - first;
  if (length === 1) return leafPayload(first).slice();
  let split = 1;
  while (split * 2 < length) split *= 2;
  const left = plainSum(leafPayload, first, first + split);
  const right = plainSum(leafPayload, first + split, end);
  return left.map((value, i) => Math.fround(value + (right[i] as number)));
}

/** A run folder that goes when the test ends. */
export async function runFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await prepareRunFolder(folder);
  return folder;
}

/** The method of a run on the tiny model: 8 images a step in micro-batches of 2, with blur. */
export const tinyMethod: Method = {
  numericsVersion,
  objective: 'simsiam',
  model: 'resnet18',
  size: 4,
  canvas: 8,
  batch: 8,
  microBatch: 2,
  seed: 42,
  totalSteps: 10,
  learningRate: 0.05,
  warmupSteps: 0,
  momentum: 0.9,
  weightDecay: 1e-4,
  augmentation: {
    cropScale: [0.2, 1],
    cropRatio: [0.75, 4 / 3],
    flipProbability: 0.5,
    jitterProbability: 0.8,
    brightness: 0.4,
    contrast: 0.4,
    saturation: 0.4,
    hue: 0.1,
    grayProbability: 0.2,
    blurProbability: 0.5,
    blurSigma: [0.1, 2],
  },
  precision: 'f32',
  codec: 'f32',
};

/** A list of so many samples, each with its own hash. */
export const tinySamples = (count: number): Sample[] =>
  Array.from({ length: count }, (_, index) => ({
    index,
    path: `${index}.png`,
    sha256: index.toString(16).padStart(64, '0'),
    bytes: 1,
    label: null,
  }));

/** Images of one colour each, red = 1 + the sample's index, in many sizes within the canvas. */
export function colouredImage(sample: Sample, canvas = tinyMethod.canvas): DecodedImage {
  const height = 3 + (sample.index % (canvas - 2));
  const width = 3 + ((sample.index * 5) % (canvas - 2));
  const pixels = new Uint8Array(canvas * canvas * 3);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      pixels.set([1 + sample.index, 100, 200 - sample.index], (y * canvas + x) * 3);
  return { pixels, height, width };
}
