/**
 * SimSiam's two heads (Chen & He 2021, section 3 and appendix D), and the classifier that stands in
 * their place where labels are learned.
 *
 * Projector: Linear-BN-ReLU, ..., Linear-BN without scale and shift. Predictor: a bottleneck,
 * Linear-BN-ReLU-Linear, whose last layer is bare.
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import { batchNorm } from './batch-norm.ts';
import { type Network, tensorOf } from './network.ts';
import { relu } from './resnet.ts';
import { type Tensor1D, type Tensor2D, type Tensor4D, tf } from './tfjs.ts';

/** features [n, featureWidth] → z [n, d] */
export function projector(network: Network, plan: NetworkPlan, features: Tensor2D): Tensor2D {
  const last = plan.projector.length - 1;
  let x = features;
  for (let i = 0; i <= last; i++) {
    x = linear(network, `projector.${3 * i}`, x);
    x = batchNormRows(network, `projector.${3 * i + 1}`, x, i < last);
    if (i < last) x = relu(x);
  }
  return x;
}

/** z [n, d] → p [n, d] */
export function predictor(network: Network, z: Tensor2D): Tensor2D {
  let x = linear(network, 'predictor.0', z); // [n, hidden]
  x = relu(batchNormRows(network, 'predictor.1', x));
  x = linear(network, 'predictor.3', x); // [n, d]
  return tf.add(x, tensorOf<Tensor1D>(network.parameters, 'predictor.3.bias'));
}

/** features [n, featureWidth] → logits [n, classes] */
export function classifier(network: Network, features: Tensor2D): Tensor2D {
  const x = linear(network, 'classifier', features);
  return tf.add(x, tensorOf<Tensor1D>(network.parameters, 'classifier.bias'));
}

function linear(network: Network, name: string, x: Tensor2D): Tensor2D {
  return tf.matMul(x, tensorOf<Tensor2D>(network.parameters, `${name}.weight`));
}

/** Batch norm of rows: an image of one pixel. */
function batchNormRows(network: Network, name: string, x: Tensor2D, affine = true): Tensor2D {
  const [n, width] = x.shape;
  const image = tf.reshape(x, [n, 1, 1, width]) as Tensor4D;
  return tf.reshape(batchNorm(network, name, image, affine), [n, width]);
}
