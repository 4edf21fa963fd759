/**
 * The two update rules of a probe, in f64.
 *
 * Adam as in its paper's algorithm 1 (and torch.optim.Adam), ε = 1e-7 as Keras has it, which
 * SimSiam-TF used. LARS as in facebookresearch/simsiam, that is apex's LARC without clipping: each
 * tensor's gradient is scaled by 0.001·‖w‖/‖g‖, then SGD with momentum 0.9 and no weight decay. A
 * tensor of zeros (the first bias) takes its gradient as it is.
 */

/** A dense layer: weights [classes, width], bias [classes]; also its gradient. */
export interface Dense {
  weights: Float64Array;
  bias: Float64Array;
}

/** Updates the layer in place. */
export type Rule = (dense: Dense, gradient: Dense, rate: number) => void;

const beta1 = 0.9;
const beta2 = 0.999;
const adamEpsilon = 1e-7;
const trust = 1e-3;
const larsEpsilon = 1e-8;
const momentumFactor = 0.9;

const tensorsOf = ({ weights, bias }: Dense): Float64Array[] => [weights, bias];

/** Adam's state for a layer of this shape. */
export function adam(like: Dense): Rule {
  const first = tensorsOf(like).map((t) => new Float64Array(t.length));
  const second = tensorsOf(like).map((t) => new Float64Array(t.length));
  let power1 = 1;
  let power2 = 1;
  return (dense, gradient, rate) => {
    power1 *= beta1;
    power2 *= beta2;
    const step = rate / (1 - power1);
    const root = Math.sqrt(1 - power2);
    for (const [i, w] of tensorsOf(dense).entries()) {
      const g = tensorsOf(gradient)[i]!;
      const m = first[i]!;
      const v = second[i]!;
      for (let j = 0; j < w.length; j += 1) {
        m[j] = beta1 * m[j]! + (1 - beta1) * g[j]!;
        v[j] = beta2 * v[j]! + (1 - beta2) * (g[j]! * g[j]!);
        w[j] = w[j]! - (step * m[j]!) / (Math.sqrt(v[j]!) / root + adamEpsilon);
      }
    }
  };
}

/** LARS with momentum, for a layer of this shape. */
export function lars(like: Dense): Rule {
  const momentum = tensorsOf(like).map((t) => new Float64Array(t.length));
  return (dense, gradient, rate) => {
    for (const [i, w] of tensorsOf(dense).entries()) {
      const g = tensorsOf(gradient)[i]!;
      const v = momentum[i]!;
      const [ofWeights, ofGradient] = [length(w), length(g)];
      const local =
        ofWeights === 0 || ofGradient === 0 ? 1 : (trust * ofWeights) / (ofGradient + larsEpsilon);
      for (let j = 0; j < w.length; j += 1) {
        v[j] = momentumFactor * v[j]! + local * g[j]!;
        w[j] = w[j]! - rate * v[j]!;
      }
    }
  };
}

function length(values: Float64Array): number {
  let squares = 0;
  for (let i = 0; i < values.length; i += 1) squares += values[i]! * values[i]!;
  return Math.sqrt(squares);
}
