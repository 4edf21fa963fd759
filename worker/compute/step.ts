/**
 * The programs of a worker in plain tfjs: the training step, features, a view. The eager compute
 * runs them as they stand; the compiled compute records each once and runs it as one graph.
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import type { Architecture, TensorSpec } from '../../shared/core/architecture-types.ts';
import { augment, standardise, type ViewTensors } from './augment.ts';
import { type Moments, type Tensors, tensorOf } from './network.ts';
import type { Objective } from './objective.ts';
import { resnet } from './resnet.ts';
import {
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
  tf,
} from './tfjs.ts';

export interface Step {
  loss: Scalar;
  std: Scalar;
  /** Gradients, then the moments of view 1 and of view 2: the payload's parts, in its order. */
  parts: Tensor[];
}

/** The network's input [m, size, size, 3] from pixels [m, canvas, canvas, 3] of 0 to 255. */
export function networkInput(pixels: Tensor4D, view: ViewTensors): Tensor4D {
  return tf.tidy(() => standardise(augment(pixels, view)));
}

/**
 * Forward and backward of both views [m, size, size, 3]. To be called inside a tidy; the caller
 * disposes what is returned.
 */
export function trainingStep(
  objective: Objective,
  architecture: Architecture,
  parameters: Tensors,
  views: readonly [Tensor4D, Tensor4D],
  labels: Tensor1D | null = null,
): Step {
  const moments: [Moments, Moments] = [new Map(), new Map()];
  let std: Scalar | undefined;
  const trained = architecture.parameters.map((spec) => tensorOf(parameters, spec.name));
  const differentiate = tf.valueAndGrads(() => {
    const forward = objective.forward(parameters, views, moments, labels);
    std = tf.keep(forward.std);
    return forward.loss;
  });
  const { value: loss, grads } = differentiate(trained);
  if (std === undefined) throw new Error('the objective gave no std');
  const parts = architecture.parameters.map((spec, i) => expectSize(spec, grads[i]));
  for (const ofView of moments) {
    parts.push(...architecture.statistics.map((spec) => expectSize(spec, ofView.get(spec.name))));
  }
  return { loss: loss as Scalar, std, parts };
}

/** Pooled features of images [n, size, size, 3] in inference mode, [n, featureWidth]. */
export function inferFeatures(
  plan: NetworkPlan,
  parameters: Tensors,
  statistics: Tensors,
  images: Tensor4D,
): Tensor2D {
  return resnet({ parameters, mode: { kind: 'inference', statistics } }, plan, images);
}

/** Moments of the backbone in training mode, a tensor for each statistic, in order. */
export function inferMoments(
  plan: NetworkPlan,
  architecture: Architecture,
  parameters: Tensors,
  images: Tensor4D,
): Tensor[] {
  const moments: Moments = new Map();
  tf.dispose(resnet({ parameters, mode: { kind: 'training', moments } }, plan, images));
  return architecture.statistics.map((spec) => moments.get(spec.name) ?? tf.zeros([spec.length]));
}

function expectSize(spec: TensorSpec, tensor: Tensor | undefined): Tensor {
  if (tensor !== undefined && tensor.size === spec.length) return tensor;
  throw new Error(`${spec.name}: expected ${spec.length} values, found ${tensor?.size ?? 'none'}`);
}
