/**
 * The optimizer: PyTorch's SGD with momentum and weight decay, every operation rounded to f32
 * (NUMERICS 5), and the running statistics of batch norm.
 *
 * Results go to second buffers, so nothing is lost where a step is given up before its commit.
 * The functions take subranges: learning rates differ between encoder and predictor, and a caller
 * can yield between slices. `Math.fround` around each operation makes V8 use single precision;
 * for + - × it gives the same bits as arithmetic in f32.
 */

export interface SgdStep {
  /** All of equal length; `nextWeights` and `nextMomentum` are written, the rest is read. */
  weights: Float32Array;
  momentum: Float32Array;
  gradient: Float32Array;
  nextWeights: Float32Array;
  nextMomentum: Float32Array;
  /** Elements [start, end). */
  start: number;
  end: number;
  /** Learning rate of these elements. */
  rate: number;
  momentumFactor: number;
  weightDecay: number;
}

/** d = f(g + f(wd·w)); v = f(f(μ·v) + d); w = f(w − f(lr·v)) over [start, end). */
export function sgdStep(step: SgdStep): void {
  const { weights, momentum, gradient, nextWeights, nextMomentum, start, end } = step;
  const rate = Math.fround(step.rate);
  const mu = Math.fround(step.momentumFactor);
  const decay = Math.fround(step.weightDecay);
  for (let i = start; i < end; i += 1) {
    const w = weights[i]!;
    const d = Math.fround(gradient[i]! + Math.fround(decay * w));
    const v = Math.fround(Math.fround(mu * momentum[i]!) + d);
    nextMomentum[i] = v;
    nextWeights[i] = Math.fround(w - Math.fround(rate * v));
  }
}

export interface StatisticsUpdate {
  statistics: Float32Array;
  /** Mean over the leaves of view 1, then of view 2: mean and unbiased variance, as laid out. */
  view1: Float32Array;
  view2: Float32Array;
  /** Written; may be `statistics` itself. */
  next: Float32Array;
}

/** r = f(f(0.9·r) + f(0.1·s)) with the moments of view 1, then with those of view 2. */
export function updateStatistics({ statistics, view1, view2, next }: StatisticsUpdate): void {
  const keep = Math.fround(0.9);
  const take = Math.fround(0.1);
  for (let i = 0; i < statistics.length; i += 1) {
    const once = Math.fround(Math.fround(keep * statistics[i]!) + Math.fround(take * view1[i]!));
    next[i] = Math.fround(Math.fround(keep * once) + Math.fround(take * view2[i]!));
  }
}
