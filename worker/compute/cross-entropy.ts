/**
 * Softmax cross-entropy, for objectives with labels and for probes.
 *
 * L = mean over rows of −log softmax(logits)[label]. Its gradient, (softmax − one-hot) / n, is
 * written out: both come from the same exponentials.
 */
import {
  hasKernel,
  runKernel,
  type Scalar,
  type Tensor1D,
  type Tensor2D,
  tf,
  withGradient,
} from './tfjs.ts';

/** logits [n, classes], labels int32 [n] in [0, classes) → mean loss. No gradient into labels. */
export function crossEntropy(logits: Tensor2D, labels: Tensor1D): Scalar {
  const n = logits.shape[0];
  return withGradient<Scalar>([logits], (save) => {
    const { losses, slopes } = hasKernel('TandemCrossEntropy')
      ? fused(logits, labels)
      : composed(logits, labels);
    save(slopes);
    return {
      value: tf.mean(losses),
      gradFunc: (dy, [slopes]) => [tf.mul(slopes as Tensor2D, tf.div(dy, n))],
    };
  });
}

interface Rows {
  /** [n] */
  losses: Tensor1D;
  /** Of each row's loss by its logits, [n, classes]. */
  slopes: Tensor2D;
}

/** By the backend's own kernel (compiled/kernels-fused.ts). */
function fused(logits: Tensor2D, labels: Tensor1D): Rows {
  const [losses, slopes] = runKernel('TandemCrossEntropy', { logits, labels });
  return { losses: losses as Tensor1D, slopes: slopes as Tensor2D };
}

/** In operations that any backend has. */
function composed(logits: Tensor2D, labels: Tensor1D): Rows {
  const [n, classes] = logits.shape;
  const numbers = Int32Array.from({ length: classes }, (_, i) => i);
  const column = tf.reshape(labels, [n, 1]);
  const chosen = tf.cast(tf.equal(column, tf.tensor1d(numbers, 'int32')), 'float32') as Tensor2D;
  // Less the largest, so that no exponential overflows.
  const shifted = tf.sub(logits, tf.max(logits, 1, true)) as Tensor2D;
  const powers = tf.exp(shifted);
  const sums = tf.sum(powers, 1, true); // [n, 1]
  const losses = tf.sub(tf.log(tf.reshape(sums, [n])), tf.sum(tf.mul(shifted, chosen), 1));
  return { losses: losses as Tensor1D, slopes: tf.sub(tf.div(powers, sums), chosen) };
}
