/**
 * The seam between what is trained for and everything else: an objective turns the views of a
 * micro-batch into a loss. `objectiveOf` (objectives.ts) says which one a method asks for.
 */
import type { Moments, Tensors } from './network.ts';
import type { Scalar, Tensor1D, Tensor4D } from './tfjs.ts';

export interface Forward {
  /** Mean over the micro-batch. */
  loss: Scalar;
  /** The collapse monitor. */
  std: Scalar;
}

export interface Objective {
  name: string;
  /** Whether `forward` needs the classes of the images. */
  labelled: boolean;
  /**
   * The training forward pass; views [m, size, size, 3], normalised. Differentiable in the
   * parameters. The batch-norm moments of view i are left, kept, in `moments[i]`. `labels`: int32
   * [m], for an objective that is labelled.
   */
  forward(
    parameters: Tensors,
    views: readonly [Tensor4D, Tensor4D],
    moments: readonly [Moments, Moments],
    labels: Tensor1D | null,
  ): Forward;
}
