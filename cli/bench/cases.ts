/**
 * What is measured: which networks, at which sizes, in which precision; and how many operations
 * such a step takes.
 *
 * `--cases` chooses by words (`resnet50`, `bf16`) or names a case of its own as
 * MODEL:SIZE:BATCH:PRECISION.
 */
import { blocksOf, featureWidthOf, networkPlan } from '../../shared/core/architecture.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type ModelName, modelNames, type Precision } from '../../shared/core/method.ts';

export interface BenchCase {
  model: ModelName;
  /** Side of a view, pixels. */
  size: number;
  /** Images of a step: one micro-batch (compute) or the global batch (train). */
  batch: number;
  precision: Precision;
}

const both = (model: ModelName, size: number, batch: number): BenchCase[] =>
  (['f32', 'bf16'] as const).map((precision) => ({ model, size, batch, precision }));

export const computeCases: readonly BenchCase[] = [
  ...both('resnet18-cifar', 32, 64),
  ...both('resnet18', 96, 64),
  ...both('resnet50', 96, 32),
];

export const trainCases: readonly BenchCase[] = [
  ...both('resnet18-cifar', 32, 256),
  ...both('resnet18-cifar', 32, 64),
];

/** `resnet18-cifar 32px batch 64` */
export function caseName({ model, size, batch }: BenchCase): string {
  return `${model} ${size}px batch ${batch}`;
}

/**
 * The cases that a filter means; undefined: all. A comma separates alternatives, all words of an
 * alternative must occur in a case's name and precision. Throws `bad-option` where nothing fits.
 */
export function chooseCases(cases: readonly BenchCase[], filter?: string): BenchCase[] {
  if (filter === undefined) return [...cases];
  const chosen = filter.split(',').flatMap((part) => {
    if (part.includes(':')) return [ownCase(part.trim())];
    const words = part.trim().split(/\s+/);
    return cases.filter((one) => {
      const told = [...caseName(one).split(' '), one.precision, String(one.batch)];
      return words.every((word) => told.includes(word));
    });
  });
  if (chosen.length > 0) return [...new Set(chosen)];
  const list = cases.map((one) => `"${caseName(one)} ${one.precision}"`).join(', ');
  throw new Failure('bad-option', `--cases "${filter}" fits none of: ${list}.`);
}

function ownCase(text: string): BenchCase {
  const [model = '', size, batch, precision = 'f32', ...rest] = text.split(':');
  const found = { model: model as ModelName, size: Number(size), batch: Number(batch) };
  const sizeLeast = model.endsWith('-cifar') ? 8 : 32;
  const whole = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  if (
    rest.length > 0 ||
    !modelNames.includes(found.model) ||
    !whole(found.size, sizeLeast, 1024) ||
    !whole(found.batch, 2, 16_384) ||
    (precision !== 'f32' && precision !== 'bf16')
  ) {
    throw new Failure(
      'bad-option',
      `--cases expects MODEL:SIZE:BATCH:PRECISION, such as resnet18-cifar:32:64:f32, not "${text}".`,
    );
  }
  return { ...found, precision };
}

/**
 * Floating-point operations of a step: convolutions and matrix products of both views, forward and
 * backward (the gradients of inputs and of weights cost as much as the forward pass each; the first
 * convolution's input has none). What lies between them is not counted.
 */
export function stepFlops({ model, size, batch }: BenchCase): number {
  const plan = networkPlan(model);
  const cifar = plan.stem === 'cifar';
  let side = cifar ? size : Math.ceil(size / 2);
  const first = products(side, cifar ? 3 : 7, 3, plan.width);
  if (!cifar) side = Math.ceil(side / 2);
  let others = 0;
  for (const { inputs, width, outputs, stride, downsample } of blocksOf(plan)) {
    const out = Math.ceil(side / stride);
    others +=
      plan.block === 'basic'
        ? products(out, 3, inputs, width) + products(out, 3, width, outputs)
        : products(side, 1, inputs, width) +
          products(out, 3, width, width) +
          products(out, 1, width, outputs);
    if (downsample) others += products(out, 1, inputs, outputs);
    side = out;
  }
  let width = featureWidthOf(plan);
  for (const outputs of [...plan.projector, plan.predictorHidden, plan.projector.at(-1) ?? 0]) {
    others += width * outputs;
    width = outputs;
  }
  return 2 * batch * 2 * (3 * others + 2 * first);
}

/** Multiplications of a convolution with one image: output side, filter side, channels. */
function products(out: number, filter: number, inputs: number, outputs: number): number {
  return out * out * filter * filter * inputs * outputs;
}
