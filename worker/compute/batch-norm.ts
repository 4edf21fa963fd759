/**
 * Batch normalisation over every axis but the last, with PyTorch's two variances: the biased one
 * normalises, the unbiased one goes into the running statistics.
 *
 * The backward pass is written out. tfjs's own would differentiate mean and variance op by op, a
 * dozen passes over the activations; this one takes five.
 */
import { type Network, tensorOf } from './network.ts';
import { hasKernel, runKernel, type Tensor1D, type Tensor4D, tf, withGradient } from './tfjs.ts';

export const epsilon = 1e-5;

/** x [n, h, w, c] → [n, h, w, c] by the batch norm `name` of the network. */
export function batchNorm(network: Network, name: string, x: Tensor4D, affine = true): Tensor4D {
  const { parameters, mode } = network;
  const gamma = affine ? tensorOf<Tensor1D>(parameters, `${name}.weight`) : null;
  const beta = affine ? tensorOf<Tensor1D>(parameters, `${name}.bias`) : null;
  if (mode.kind === 'inference') {
    const mean = tensorOf<Tensor1D>(mode.statistics, `${name}.running_mean`);
    const variance = tensorOf<Tensor1D>(mode.statistics, `${name}.running_var`);
    return tf.batchNorm(x, mean, variance, beta ?? undefined, gamma ?? undefined, epsilon);
  }
  const { y, mean, variance } = normalise(x, gamma, beta);
  mode.moments.set(`${name}.running_mean`, mean);
  mode.moments.set(`${name}.running_var`, variance);
  return y;
}

export interface Normalised {
  y: Tensor4D;
  /** Batch mean [c], kept: the caller disposes it. */
  mean: Tensor1D;
  /** *Unbiased* batch variance [c], kept: the caller disposes it. */
  variance: Tensor1D;
}

/** Normalises by the batch's own moments: y = (x − mean) / √(var + ε) · gamma + beta. */
export function normalise(x: Tensor4D, gamma: Tensor1D | null, beta: Tensor1D | null): Normalised {
  return hasKernel('TandemBatchNorm') ? fused(x, gamma, beta) : composed(x, gamma, beta);
}

/** By the backend's own kernel (compiled/kernels-fused.ts), whose outputs its gradient takes back. */
function fused(x: Tensor4D, gamma: Tensor1D | null, beta: Tensor1D | null): Normalised {
  const channels = x.shape[3];
  const scale = gamma ?? (tf.ones([channels]) as Tensor1D);
  const offset = beta ?? (tf.zeros([channels]) as Tensor1D);
  let moments: { mean: Tensor1D; variance: Tensor1D } | undefined;
  const y = withGradient<Tensor4D>([x, scale, offset], (save) => {
    const inputs = { x, gamma: scale, beta: offset };
    const [value, mean, variance, ...kept] = runKernel('TandemBatchNorm', inputs, { epsilon });
    moments = { mean: tf.keep(mean as Tensor1D), variance: tf.keep(variance as Tensor1D) };
    for (const tensor of [x, scale, ...kept]) save(tensor);
    return {
      value: value as Tensor4D,
      gradFunc: (dy, [x, gamma, kept0, kept1, kept2]) =>
        runKernel('TandemBatchNormGrad', { dy, x, gamma, kept0, kept1, kept2 }, { epsilon }),
    };
  });
  if (moments === undefined) throw new Error('batch norm ran without computing moments');
  return { y, ...moments };
}

/** In operations that any backend has. */
function composed(x: Tensor4D, gamma: Tensor1D | null, beta: Tensor1D | null): Normalised {
  const channels = x.shape[3];
  const count = x.size / channels; // N = n·h·w
  let moments: { mean: Tensor1D; variance: Tensor1D } | undefined;

  const inputs = gamma && beta ? [x, gamma, beta] : [x];
  const y = withGradient<Tensor4D>(inputs, (save) => {
    const zero = tf.zeros<typeof tf.Rank.R1>([channels]) as Tensor1D;
    const mean = meanOfRows(x);
    // Centred first: E[x²] − E[x]² loses digits where the mean is large.
    const centred = tf.sub(x, mean) as Tensor4D;
    const biased = meanOfRows(tf.square(centred));
    const value = tf.batchNorm(
      centred,
      zero,
      biased,
      beta ?? undefined,
      gamma ?? undefined,
      epsilon,
    ) as Tensor4D;
    moments = { mean: tf.keep(mean), variance: tf.keep(tf.mul(biased, count / (count - 1))) };
    save(centred);
    save(biased);
    if (gamma) save(gamma);

    return {
      value,
      gradFunc: (dy, saved) => {
        const [centred, biased, gamma] = saved as [Tensor4D, Tensor1D, Tensor1D?];
        // With x̂ = centred·r, r = 1/√(var + ε):
        //   dβ = Σ dy, dγ = Σ dy·x̂, dx = γ·r·(dy − dβ/N − x̂·dγ/N).
        const r = tf.rsqrt(tf.add(biased, epsilon));
        const meanDy = meanOfRows(dy);
        const meanDyX = tf.mul(meanOfRows(tf.mul(dy, centred)), r) as Tensor1D; // dγ/N
        const scale = gamma ? tf.mul(gamma, r) : r;
        const slope = tf.mul(tf.mul(scale, r), meanDyX);
        // γ·r·(dy − dβ/N) is a batch norm of dy with the same variance: one pass.
        const dx = tf.sub(
          tf.batchNorm(dy, meanDy, biased, undefined, gamma, epsilon),
          tf.mul(centred, slope),
        );
        return gamma ? [dx, tf.mul(meanDyX, count), tf.mul(meanDy, count)] : [dx];
      },
    };
  });
  if (moments === undefined) throw new Error('batch norm ran without computing moments');
  return { y, ...moments };
}

/** [n, h, w, c] → [c] */
function meanOfRows(x: Tensor4D): Tensor1D {
  return tf.mean(x, [0, 1, 2]);
}
