/**
 * Whose names the tensors of a file have, and which ResNet they make: torchvision's own, those of
 * facebookresearch/simsiam (`module.encoder.…`), lightly's (`backbone.…`, by name or by number).
 *
 * Every tensor must be accounted for: the encoder's with their exact shapes, heads and counters by
 * the names under which the three are known to keep them. What is missing, left over or of another
 * shape is told by name; nothing is guessed.
 */
import { architecture } from './architecture.ts';
import type { TensorSpec } from './architecture-types.ts';
import { type ModelName, modelNames } from './method.ts';
import { torchShape } from './torch-layout.ts';

/** A tensor of the encoder as torchvision names and lays it out. */
export interface EncoderTensor {
  /** `layer1.0.conv1.weight` */
  name: string;
  shape: number[];
  /** Ours, by its place in the flat vector of parameters or statistics. */
  spec: TensorSpec;
  kind: 'parameter' | 'statistic';
}

const prefix = 'encoder.';

/** The encoder of a model, in the order of our names. */
export function encoderTensors(model: ModelName): EncoderTensor[] {
  const { parameters, statistics } = architecture(model);
  const of = (specs: readonly TensorSpec[], kind: EncoderTensor['kind']): EncoderTensor[] =>
    specs
      .filter(({ name }) => name.startsWith(prefix))
      .map((spec) => ({
        name: spec.name.slice(prefix.length),
        shape: torchShape(spec.shape),
        spec,
        kind,
      }));
  return [...of(parameters, 'parameter'), ...of(statistics, 'statistic')];
}

export const namingNames = ['torchvision', 'facebookresearch/simsiam', 'lightly'] as const;
export type NamingName = (typeof namingNames)[number];

interface Naming {
  name: NamingName;
  prefix: string;
  /** torchvision's first part of a name to this one's: `layer1` → `4`. */
  parts: Readonly<Record<string, string>>;
  /** What the shortcut of a block is called. */
  shortcut: 'downsample' | 'shortcut';
  /** Beginnings of names that are no part of the encoder. */
  heads: readonly string[];
}

const own = (first: number): Record<string, string> => ({
  ...{ conv1: '0', bn1: '1', layer1: `${first}`, layer2: `${first + 1}` },
  ...{ layer3: `${first + 2}`, layer4: `${first + 3}` },
});
const lightlyHeads = [
  ...['projection_head.', 'prediction_head.', 'projection_mlp.', 'prediction_mlp.'],
  ...['backbone.fc.', 'backbone.linear.'],
];
const naming = (
  name: NamingName,
  prefix: string,
  heads: readonly string[],
  more: Partial<Naming> = {},
): Naming => ({ name, prefix, parts: {}, shortcut: 'downsample', heads, ...more });

/** In this order; the first one under whose name for layer1 something lies is taken. */
const namings: readonly Naming[] = [
  naming('torchvision', '', ['fc.']),
  naming('facebookresearch/simsiam', 'module.encoder.', [
    'module.encoder.fc.',
    'module.predictor.',
  ]),
  naming('facebookresearch/simsiam', 'encoder.', ['encoder.fc.', 'predictor.']),
  naming('lightly', 'backbone.', lightlyHeads),
  // torch.nn.Sequential of the children of lightly's own ResNet: convolution, norm, layers.
  naming('lightly', 'backbone.', lightlyHeads, { parts: own(2), shortcut: 'shortcut' }),
  // The same of torchvision's, which has a ReLU (no tensors) and a pool before its layers.
  naming('lightly', 'backbone.', lightlyHeads, { parts: own(4) }),
];

/** Tensors of no meaning to inference, wherever they stand. */
const counter = /(?:^|\.)num_batches_tracked$/;

export interface FoundTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
}

export interface Recognised {
  naming: NamingName;
  model: ModelName;
  /** Each tensor of the encoder with the name that the file has for it. */
  tensors: (EncoderTensor & { found: string })[];
  /** Names of heads that are left out, sorted. */
  leftOut: string[];
}

function fileName({ prefix, parts, shortcut }: Naming, name: string): string {
  const [first = '', ...rest] = name.split('.');
  const path = rest.map((part) => (part === 'downsample' ? shortcut : part));
  return prefix + [parts[first] ?? first, ...path].join('.');
}

/** `a, b, c and 4 more` */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/**
 * Which encoder the tensors make, or what is wrong with them, as a sentence. `told`: the model that
 * they must make, under torchvision's names, where it is not to be found out.
 */
export function recognise(
  found: readonly FoundTensor[],
  told: ModelName | null = null,
): Recognised | { fault: string } {
  const byName = new Map(found.map((tensor) => [tensor.name, tensor]));
  const names = [...byName.keys()];
  const begins = (each: Naming): boolean =>
    names.some((name) => name.startsWith(`${fileName(each, 'layer1')}.`));
  const scheme = told === null ? namings.find(begins) : namings[0];
  if (scheme === undefined) {
    const known = namings.map((each) => `${fileName(each, 'layer1')}.…`).join(', ');
    return {
      fault:
        `none of its ${found.length} tensors is of a ResNet's first layer (${known}); ` +
        `it has ${listed(names) || 'none'}`,
    };
  }
  const model = told ?? modelOf(scheme, byName);
  if (typeof model !== 'string') return model;
  const tensors = encoderTensors(model).map((tensor) => ({
    ...tensor,
    found: fileName(scheme, tensor.name),
  }));
  const missing = tensors.filter((tensor) => !byName.has(tensor.found));
  if (missing.length > 0)
    return { fault: `a ${model} lacks ${listed(missing.map((tensor) => tensor.found))}` };
  for (const tensor of tensors) {
    const { shape, dtype } = byName.get(tensor.found) as FoundTensor;
    if (dtype !== 'F32')
      return { fault: `${tensor.found} is ${dtype} and must be F32: save the model as float32` };
    if (shapeText(shape) !== shapeText(tensor.shape))
      return {
        fault: `${tensor.found} is ${shapeText(shape)}, a ${model} has ${shapeText(tensor.shape)}`,
      };
  }
  const wanted = new Set(tensors.map((tensor) => tensor.found));
  const leftOut: string[] = [];
  const extra: string[] = [];
  for (const { name } of found) {
    if (wanted.has(name) || counter.test(name)) continue;
    (scheme.heads.some((head) => name.startsWith(head)) ? leftOut : extra).push(name);
  }
  if (extra.length > 0)
    return { fault: `${listed(extra)} ${extra.length > 1 ? 'are' : 'is'} no part of a ${model}` };
  return { naming: scheme.name, model, tensors, leftOut: leftOut.sort() };
}

/** The model by its stem, its kind of block and how many of them each layer has. */
function modelOf(
  scheme: Naming,
  found: ReadonlyMap<string, FoundTensor>,
): ModelName | { fault: string } {
  const name = fileName(scheme, 'conv1.weight');
  const stem = found.get(name)?.shape;
  if (stem === undefined) return { fault: `a ResNet lacks ${name}` };
  const cifar = stem[2] === 3 && stem[3] === 3;
  if (!cifar && !(stem[2] === 7 && stem[3] === 7))
    return { fault: `${name} is ${shapeText(stem)}: a stem is 7 x 7 (ImageNet) or 3 x 3 (CIFAR)` };
  const has = (beginning: string): boolean => {
    const prefix = fileName(scheme, beginning);
    return [...found.keys()].some((name) => name.startsWith(prefix));
  };
  const depths = [1, 2, 3, 4].map((layer) => {
    let depth = 0;
    while (depth < 64 && has(`layer${layer}.${depth}.`)) depth += 1;
    return depth;
  });
  const bottleneck = has('layer1.0.conv3.');
  const shapes = { '2,2,2,2': 'resnet18', '3,4,6,3': bottleneck ? 'resnet50' : 'resnet34' };
  const size = shapes[depths.join() as keyof typeof shapes];
  const model = modelNames.find((each) => each === `${size}${cifar ? '-cifar' : ''}`);
  if (model !== undefined && !(bottleneck && size === 'resnet18')) return model;
  const kind = bottleneck ? 'bottleneck' : 'basic';
  return {
    fault: `layers of ${depths.join(', ')} ${kind} blocks are no ResNet-18, 34 or 50`,
  };
}
