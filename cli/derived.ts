/**
 * What follows from a config before anything runs: steps, images, bytes on the wire, on the disk
 * and in memory. Pure; the model's sizes come from its architecture.
 */
import { architecture } from '../shared/core/architecture.ts';
import { payloadElements } from '../shared/core/architecture-types.ts';
import { type Config, totalStepsOf, trainingCount } from '../shared/core/config.ts';
import { bucketCredit, bucketElements } from '../shared/wire/limits.ts';
import { roundsWeights, weightLayout } from '../shared/core/weight-layout.ts';
import { byName, encodeHeader } from '../shared/wire/safetensors.ts';
import { bytes, count, epoch, plural } from '../shared/core/format.ts';

export interface Derived {
  parameters: number;
  /** Images of the data set that training sees and that are held out; null: not known yet. */
  images: number | null;
  heldOut: number | null;
  /** Null where it depends on a number of images that is not known. */
  steps: number | null;
  epochs: number | null;
  microBatchesPerStep: number;
  /** Gradients up and weights down over a step, all workers together, at least. */
  wireBytesPerStep: number;
  /** A checkpoint; what the run folder holds of checkpoints and warm slots at most. */
  checkpointBytes: number;
  diskBytes: number;
  /** Of the coordinator: two copies of the state and the window of buckets. */
  coordinatorBytes: number;
  /** Of a worker before activations: weights, gradients, decoded images up to their limit. */
  workerBytes: number;
}

const floatBytes = 4;
const warmHeaderBytes = 4096;
/** The pixel cache of a worker (worker/shell/pixel-cache.ts). */
const pixelBytesMax = 1024 ** 3;

/** Known only with the data; a classifier is small beside its encoder. */
const classesOf = ({ objective }: Config): number | undefined =>
  objective === 'supervised' ? 10 : undefined;

/** Bytes of `model.safetensors` of a model; exact but for a classifier. */
function checkpointBytesOf(config: Config): number {
  const { parameters, statistics } = architecture(config.model, classesOf(config));
  const entries = [
    ...parameters.flatMap(({ name, shape }) => [
      { name, shape },
      { name: `momentum.${name}`, shape },
    ]),
    ...statistics.map(({ name, shape }) => ({ name, shape })),
    { name: 'step', shape: [] },
  ].sort(byName);
  const { header, tensors } = encodeHeader(entries);
  return header.length + tensors.reduce((sum, tensor) => sum + tensor.length, 0);
}

/** `imageCount`: all images of the data set, or null where nobody has looked yet. */
export function derive(config: Config, imageCount: number | null): Derived {
  const network = architecture(config.model, classesOf(config));
  const { parameterCount, statisticCount } = network;
  const { batch, microBatch, workers, size } = config;
  const leaves = batch / microBatch;
  const images = imageCount === null ? null : trainingCount(config, imageCount);
  const steps = config.steps ?? (images === null ? null : totalStepsOf(config, images));
  const epochs = images === null || steps === null ? config.epochs : (steps * batch) / images;
  const state = floatBytes * (2 * parameterCount + statisticCount);
  const payload = floatBytes * payloadElements(network);
  const { weightBytes, sentBytes, memoryBytes } = weightLayout(network, config.precision);
  const rounded = roundsWeights(config.precision) ? 2 * weightBytes : 0;
  const busy = Math.min(workers, leaves);
  const checkpointBytes = checkpointBytesOf(config);
  const canvas = 2 * size;
  const decoded = (images ?? Number.POSITIVE_INFINITY) * canvas * canvas * 3;
  return {
    parameters: parameterCount,
    images,
    heldOut: imageCount === null || images === null ? null : imageCount - images,
    steps,
    epochs,
    microBatchesPerStep: leaves,
    wireBytesPerStep: busy * payload + workers * sentBytes,
    checkpointBytes,
    // The newest, that of step 0, one that is being written; two warm slots.
    diskBytes: (config.keepCheckpoints + 2) * checkpointBytes + 2 * (state + warmHeaderBytes),
    coordinatorBytes: 2 * state + rounded + bucketCredit * bucketElements * floatBytes,
    workerBytes: 2 * memoryBytes + 2 * payload + Math.min(decoded, pixelBytesMax),
  };
}

/** Lines `[name, value]` for people. */
export function derivedRows(derived: Derived, config: Config): [string, string][] {
  const { images, heldOut, steps, epochs } = derived;
  const rows: [string, string][] = [];
  if (images !== null) {
    const held = heldOut === 0 ? '' : `, and ${count(heldOut ?? 0)} held out`;
    rows.push(['images', `${count(images)} for training${held}`]);
  }
  rows.push([
    'steps',
    steps === null
      ? 'epochs · images / batch, once the images are counted'
      : `${count(steps)} of ${count(config.batch)} images` +
        (epochs === null ? '' : `, ${epoch(Math.round(epochs * 100) / 100)} epochs`),
  ]);
  rows.push(
    ['a step', `${plural(derived.microBatchesPerStep, 'micro-batch', 'micro-batches')}`],
    ['parameters', count(derived.parameters)],
    ['network', `at least ${bytes(derived.wireBytesPerStep)} a step, all workers together`],
    ['checkpoint', bytes(derived.checkpointBytes)],
    ['disk', `${bytes(derived.diskBytes)} for checkpoints and warm slots`],
    [
      'memory',
      `coordinator ${bytes(derived.coordinatorBytes)}, each worker up to ` +
        `${bytes(derived.workerBytes)} and its activations, and the programs themselves`,
    ],
  );
  return rows;
}

/** One line for the beginning of a run. */
export function derivedLine(derived: Derived): string {
  const { steps, epochs, checkpointBytes, wireBytesPerStep, diskBytes } = derived;
  const length = steps === null ? '' : `${plural(steps, 'step')}, `;
  const passes = epochs === null ? '' : `${epoch(Math.round(epochs * 100) / 100)} epochs; `;
  return (
    `${length}${passes}a step moves ${bytes(wireBytesPerStep)}, a checkpoint has ` +
    `${bytes(checkpointBytes)}, the run folder grows to ${bytes(diskBytes)}`
  );
}
