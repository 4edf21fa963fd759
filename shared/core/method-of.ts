/**
 * From a config to what runs: the method, which decides the bits, and the operation, which does
 * not (NUMERICS 1); what differs between two methods; and choices that are seldom meant.
 */
import { isLoopback, parseAddress } from './address.ts';
import type { Config } from './config.ts';
import { Failure } from './failures.ts';
import {
  type AugmentationMethod,
  type Method,
  type ModelName,
  numericsVersion,
  type Operation,
} from './method.ts';
import { totalSteps } from './order.ts';
import { shareCount } from './split.ts';

function augmentationOf(model: ModelName): AugmentationMethod {
  return {
    cropScale: [0.2, 1],
    cropRatio: [3 / 4, 4 / 3],
    flipProbability: 0.5,
    jitterProbability: 0.8,
    brightness: 0.4,
    contrast: 0.4,
    saturation: 0.4,
    hue: 0.1,
    grayProbability: 0.2,
    blurProbability: model.endsWith('-cifar') ? 0 : 0.5,
    blurSigma: [0.1, 2],
  };
}

/** T = K, or ⌈E·N/B⌉ for N images that training sees (NUMERICS 3). */
export function totalStepsOf(config: Config, sampleCount: number): number {
  const length = config.steps === null ? { epochs: config.epochs ?? 0 } : { steps: config.steps };
  return totalSteps(length, sampleCount, config.batch);
}

/** Images of a data set that training sees. */
export function trainingCount(config: Config, sampleCount: number): number {
  return sampleCount - shareCount(sampleCount, config.validation);
}

/**
 * The method of a config for a data set of `sampleCount` images, held-out ones included.
 *
 * `classes`: their names, which a supervised method needs (without, it only stands for a comparison).
 * Throws `data-empty` without images and `bad-option` where the batch is larger than the data.
 */
export function methodOf(
  config: Config,
  sampleCount: number,
  classes: readonly string[] = [],
): Method {
  const { batch, microBatch, model, objective, size } = config;
  if (sampleCount < 1) {
    throw new Failure('data-empty', 'the data set holds no images: check --data.');
  }
  const seen = trainingCount(config, sampleCount);
  if (batch > seen) {
    const fits = seen - (seen % microBatch);
    const advice =
      fits > 0
        ? `use --batch ${fits} or less, or more images.`
        : `use a smaller --batch and --micro-batch (now ${microBatch}), or more images.`;
    throw new Failure(
      'bad-option',
      `a global batch of ${batch} images is more than the ${seen} ` +
        `${seen < sampleCount ? 'that are not held out' : 'of the data set'}: ${advice}`,
    );
  }
  const cifar = model.endsWith('-cifar');
  return {
    numericsVersion,
    objective,
    ...(objective === 'supervised' ? { classes: [...classes] } : {}),
    model,
    size,
    canvas: 2 * size,
    batch,
    microBatch,
    seed: config.seed,
    totalSteps: totalStepsOf(config, seen),
    ...(config.validation === 0 ? {} : { validation: config.validation }),
    learningRate: config.learningRate ?? (objective === 'supervised' ? 0.1 : cifar ? 0.03 : 0.05),
    warmupSteps: 0,
    momentum: 0.9,
    weightDecay: config.weightDecay ?? (cifar ? 5e-4 : 1e-4),
    augmentation: augmentationOf(model),
    precision: config.precision,
    codec: 'f32',
  };
}

/** The part of a config that may differ at each resume. */
export function operationOf(config: Config): Operation {
  return {
    data: config.data,
    workers: config.workers,
    minWorkers: config.minWorkers,
    backend: config.backend,
    requireGpu: config.requireGpu,
    mixedDevices: config.mixedDevices,
    audit: config.audit,
    checkpointEvery: config.checkpointEvery,
    stopAt: config.stopAt,
    knn: config.knn,
    monitorEvery: config.monitorEvery,
    run: config.run,
    nats: config.nats,
    listen: config.listen,
    insecure: config.insecure,
  };
}

export interface MethodDifference {
  /** `batch`, `augmentation.hue`. */
  field: string;
  /** As JSON; `absent` where a side lacks the field. */
  expected: string;
  found: string;
}

/** Fields in which `b` (found) differs from `a` (expected), by name. */
export function methodDifference(a: Method, b: Method): MethodDifference[] {
  const flat = (value: object, prefix: string): [string, string][] =>
    Object.entries(value).flatMap(([key, inner]): [string, string][] =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? flat(inner, `${prefix}${key}.`)
        : [[`${prefix}${key}`, JSON.stringify(inner)]],
    );
  const expected = new Map(flat(a, ''));
  const other = new Map(flat(b, ''));
  const fields = [...new Set([...expected.keys(), ...other.keys()])];
  return fields
    .filter((field) => expected.get(field) !== other.get(field))
    .map((field) => ({
      field,
      expected: expected.get(field) ?? 'absent',
      found: other.get(field) ?? 'absent',
    }));
}

/** `batch is 128 in the run and 64 here; seed ...`: for the message of an `other-method` refusal. */
export function describeDifference(differences: readonly MethodDifference[]): string {
  return differences
    .map(({ field, expected, found }) => `${field} is ${expected} in the run and ${found} here`)
    .join('; ');
}

/** Can others reach it who show no proof of who they are, or read what is said? */
export function isOpen(config: Config): boolean {
  const { tlsCert, tlsCa, tokens, listen } = config;
  if (isLoopback(parseAddress(listen)?.host ?? '')) return false;
  return tlsCert === null || (tlsCa === null && tokens === null);
}

/** What an open coordinator lets others do. */
export const openTo = ({ tokens }: Config): string =>
  tokens === null ? 'can join, read and stop this run' : 'can read its tokens and data on the way';

/** Choices that work but are seldom meant, where training sees `count` images. */
export function configWarnings(config: Config, count: number): { code: string; message: string }[] {
  const warnings: { code: string; message: string }[] = [];
  const warn = (code: string, message: string): number => warnings.push({ code, message });
  const leaves = config.batch / config.microBatch;
  const total = totalStepsOf(config, count);
  if (leaves < config.workers) {
    warn(
      'idle-workers',
      `a step has ${leaves} micro-batch${leaves === 1 ? '' : 'es'} and there are ` +
        `${config.workers} workers, so ${config.workers - leaves} will idle: use a larger batch, ` +
        'a smaller micro-batch or fewer workers.',
    );
  }
  if (config.stopAt !== null && config.stopAt >= total) {
    warn('stop-at-unused', `--stop-at ${config.stopAt} is not before the last step, ${total}.`);
  }
  if (config.mixedDevices) {
    warn('mixed-devices', 'with --mixed-devices the result depends on who computed what.');
  }
  if (isOpen(config)) warn('insecure', `anyone who reaches ${config.listen} ${openTo(config)}.`);
  return warnings;
}
