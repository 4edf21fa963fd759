/**
 * SimSiam's loss and its collapse monitor.
 *
 * D(p, z) = −mean over the batch of cos(p, z), with z held fixed (stop-gradient);
 * L = D(p1, z2)/2 + D(p2, z1)/2. Without the stop-gradient L → −1 and the std of z → 0.
 */
import { type Scalar, type Tensor2D, tf, withGradient } from './tfjs.ts';

/** Least ‖x‖ that is divided by. */
const tiny = 1e-8;

/** L of the predictions p1, p2 and projections z1, z2, [n, d] each. */
export function simSiamLoss(
  p1: Tensor2D,
  p2: Tensor2D,
  z1: Tensor2D,
  z2: Tensor2D,
  target: (z: Tensor2D) => Tensor2D = stopGradient,
): Scalar {
  const d1 = negativeCosine(p1, target(z2));
  const d2 = negativeCosine(p2, target(z1));
  return tf.mul(tf.add(d1, d2), 0.5);
}

/** D(p, z): −1 where they point the same way. */
export function negativeCosine(p: Tensor2D, z: Tensor2D): Scalar {
  const cosines = tf.sum(tf.mul(unitRows(p), unitRows(z)), 1); // [n]
  return tf.neg(tf.mean(cosines));
}

/** The same values, through which no gradient passes. */
export function stopGradient(z: Tensor2D): Tensor2D {
  // No inputs, so the tape has no way from the result back to z.
  return withGradient<Tensor2D>([], () => ({ value: tf.clone(z), gradFunc: () => [] }));
}

/** Mean over channels of the *unbiased* standard deviation of z/‖z‖ over the batch; z [n, d]. */
export function outputStd(z: Tensor2D): Scalar {
  const n = z.shape[0];
  const unit = unitRows(z);
  const squares = tf.square(tf.sub(unit, tf.mean(unit, 0)));
  const variance = tf.div(tf.sum(squares, 0), n - 1); // [d]
  return tf.mean(tf.sqrt(variance));
}

/** x / ‖x‖, row by row. */
function unitRows(x: Tensor2D): Tensor2D {
  const lengths = tf.sqrt(tf.sum(tf.square(x), 1, true)); // [n, 1]
  return tf.div(x, tf.maximum(lengths, tiny));
}
