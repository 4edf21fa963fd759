/**
 * torchvision's ResNet without its classifier, in plain tfjs: images to pooled features.
 *
 * Padding is symmetric as in PyTorch. For stride 1 that is TensorFlow's `same`; for stride 2 it is
 * not (`same` pads bottom and right only), so there the zeros are laid explicitly.
 */
import { type BlockPlan, blocksOf, type NetworkPlan } from '../../shared/core/architecture.ts';
import { batchNorm } from './batch-norm.ts';
import { type Network, tensorOf } from './network.ts';
import { hasKernel, runKernel, type Tensor2D, type Tensor4D, tf, withGradient } from './tfjs.ts';

/** images [n, size, size, 3], normalised → features [n, featureWidth] */
export function resnet(network: Network, plan: NetworkPlan, images: Tensor4D): Tensor2D {
  const cifar = plan.stem === 'cifar';
  let x = conv(network, 'encoder.conv1', images, cifar ? 1 : 2); // cifar: [n, size, size, 64]
  x = relu(batchNorm(network, 'encoder.bn1', x)); //                others: [n, size/2, size/2, 64]
  if (!cifar) x = maxPool(x); //                                            [n, size/4, size/4, 64]
  for (const block of blocksOf(plan)) {
    // layer k: [n, side/2^(k-1), side/2^(k-1), width·2^(k-1)·expansion]
    x = plan.block === 'basic' ? basic(network, block, x) : bottleneck(network, block, x);
  }
  return tf.mean(x, [1, 2]);
}

/** Two 3x3 convolutions; the first has the stride. */
function basic(network: Network, block: BlockPlan, x: Tensor4D): Tensor4D {
  const { name, stride } = block;
  let y = conv(network, `${name}.conv1`, x, stride);
  y = relu(batchNorm(network, `${name}.bn1`, y));
  y = conv(network, `${name}.conv2`, y, 1);
  y = batchNorm(network, `${name}.bn2`, y);
  return relu(tf.add(y, shortcut(network, block, x)));
}

/** 1x1 down, 3x3 with the stride (v1.5), 1x1 up. */
function bottleneck(network: Network, block: BlockPlan, x: Tensor4D): Tensor4D {
  const { name, stride } = block;
  let y = conv(network, `${name}.conv1`, x, 1);
  y = relu(batchNorm(network, `${name}.bn1`, y));
  y = conv(network, `${name}.conv2`, y, stride);
  y = relu(batchNorm(network, `${name}.bn2`, y));
  y = conv(network, `${name}.conv3`, y, 1);
  y = batchNorm(network, `${name}.bn3`, y);
  return relu(tf.add(y, shortcut(network, block, x)));
}

function shortcut(network: Network, block: BlockPlan, x: Tensor4D): Tensor4D {
  if (!block.downsample) return x;
  const y = conv(network, `${block.name}.downsample.0`, x, block.stride);
  return batchNorm(network, `${block.name}.downsample.1`, y);
}

/** [n, h, w, in] → [n, ⌈h/stride⌉, ⌈w/stride⌉, out]; the filter is odd, the padding half of it. */
function conv(network: Network, name: string, x: Tensor4D, stride: 1 | 2): Tensor4D {
  const filter = tensorOf<Tensor4D>(network.parameters, `${name}.weight`);
  if (stride === 1) return tf.conv2d(x, filter, 1, 'same');
  return tf.conv2d(pad(x, (filter.shape[0] - 1) / 2), filter, stride, 'valid');
}

/** 3x3, stride 2, padding 1. What comes in is past a ReLU, so zeros beside it never win. */
function maxPool(x: Tensor4D): Tensor4D {
  return tf.maxPool(pad(x, 1), 3, 2, 'valid');
}

function pad(x: Tensor4D, by: number): Tensor4D {
  if (by === 0) return x;
  return tf.pad(x, [
    [0, 0],
    [by, by],
    [by, by],
    [0, 0],
  ]);
}

/** ReLU whose gradient is one product: sign(y) is 1 where y > 0 and 0 where y = 0. */
export function relu<T extends Tensor2D | Tensor4D>(x: T): T {
  return withGradient<T>([x], (save) => {
    const y = tf.relu(x);
    save(y);
    return { value: y, gradFunc: (dy, [y]) => [reluGradient(dy, y as T)] };
  });
}

function reluGradient<T extends Tensor2D | Tensor4D>(dy: T, y: T): T {
  if (hasKernel('TandemReluGrad')) return runKernel('TandemReluGrad', { dy, y })[0] as T;
  return tf.mul(dy, tf.sign(y));
}
