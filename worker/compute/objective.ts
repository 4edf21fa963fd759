/**
 * The seam between what is trained for and everything else: an objective turns the views of a
 * micro-batch into a loss. Another one (a supervised loss, say) is another value of this type.
 */
import type { Moments, Tensors } from './network.ts';
import type { Scalar, Tensor4D } from './tfjs.ts';

export interface Forward {
  /** Mean over the micro-batch. */
  loss: Scalar;
  /** The collapse monitor. */
  std: Scalar;
}

export interface Objective {
  name: string;
  /**
   * The training forward pass; views [m, size, size, 3], normalised. Differentiable in the
   * parameters. The batch-norm moments of view i are left, kept, in `moments[i]`.
   */
  forward(
    parameters: Tensors,
    views: readonly [Tensor4D, Tensor4D],
    moments: readonly [Moments, Moments],
  ): Forward;
}
