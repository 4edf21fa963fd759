/**
 * How a layer finds its tensors: by name, in one of two modes.
 *
 * In training a batch norm uses the statistics of its own batch and leaves them in `moments`; in
 * inference it uses the running ones. A name that is not there is a mismatch between the tensor
 * list (shared/core/architecture) and the forward pass, and a broken invariant.
 */
import type { Tensor, Tensor1D } from './tfjs.ts';

export type Tensors = ReadonlyMap<string, Tensor>;

/** Batch mean and unbiased variance, under the names of the running statistics. */
export type Moments = Map<string, Tensor1D>;

export interface Network {
  parameters: Tensors;
  mode: { kind: 'training'; moments: Moments } | { kind: 'inference'; statistics: Tensors };
}

export function tensorOf<T extends Tensor>(tensors: Tensors, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`the architecture has no tensor named ${name}`);
  return tensor as T;
}
