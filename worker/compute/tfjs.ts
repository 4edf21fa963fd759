/**
 * The one instance of tfjs-core in the process.
 *
 * The backends are CommonJS packages that `require` tfjs-core themselves. An ESM bundle beside it
 * would be a second engine without any backend, so everyone takes this one. The gradients of the
 * operations come with the package `tfjs`, which registers them in it.
 */
import { createRequire } from 'node:module';
import type * as TensorFlow from '@tensorflow/tfjs-core';

const require = createRequire(import.meta.url);

export const tf = require('@tensorflow/tfjs-core') as typeof TensorFlow;
require('@tensorflow/tfjs');

export type {
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  TensorInfo,
} from '@tensorflow/tfjs-core';

import type { Tensor } from '@tensorflow/tfjs-core';

/** What a hand-written gradient returns: the value, and dy → one gradient for each input. */
export interface WithGradient<Value extends Tensor> {
  value: Value;
  gradFunc: (dy: Value, saved: Tensor[]) => Tensor[];
}

/**
 * An operation with a hand-written gradient. `save` keeps a tensor for the backward pass, where it
 * stands in `saved` in the order of the calls.
 *
 * (tfjs's own `customGrad` is typed for one tensor in and one out.)
 */
export function withGradient<Value extends Tensor>(
  inputs: Tensor[],
  f: (save: (tensor: Tensor) => void) => WithGradient<Value>,
): Value {
  type Save = (tensors: Tensor[]) => void;
  const operation = (...args: (Tensor | Save)[]) => {
    const saved: Tensor[] = [];
    const result = f((tensor) => saved.push(tensor));
    (args.at(-1) as Save)(saved);
    return result;
  };
  const custom = tf.customGrad(operation as unknown as Parameters<typeof tf.customGrad>[0]);
  return custom(...inputs) as Value;
}

/** Whether the present backend has a kernel of this name: one of ours, with a composed twin. */
export function hasKernel(name: string): boolean {
  return tf.getKernel(name, tf.getBackend()) !== undefined;
}

/** Runs a kernel of the present backend; its outputs in order. */
export function runKernel(
  name: string,
  inputs: Record<string, Tensor | undefined>,
  attributes: Record<string, unknown> = {},
): Tensor[] {
  const { engine } = tf;
  const made: unknown = engine().runKernel(
    name,
    inputs as Parameters<ReturnType<typeof engine>['runKernel']>[1],
    attributes as Parameters<ReturnType<typeof engine>['runKernel']>[2],
  );
  return (Array.isArray(made) ? made : [made]) as Tensor[];
}
