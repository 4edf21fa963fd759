/**
 * The linear probe: one dense layer on features that stay as they are, trained with softmax
 * cross-entropy. Two protocols: SimSiam-TF's (Adam, early stop) and the paper's (SGD with LARS).
 *
 * All of it is f64 and our own `exp` and `log`, in fixed orders of additions (`probe-layer.ts`), so a
 * probe has the same bits on every machine. Draws are by address: first weights at (seed, probe),
 * the order of epoch e at (seed, probeOrder, e). A generator gives an account after each epoch, so
 * that a caller can yield, draw progress, or stop.
 */
import { fillNormal, fillUniform } from './draws.ts';
import { cos } from './exact.ts';
import { permutation } from './permutation.ts';
import type { LinearProtocol } from './evaluation.ts';
import { Failure } from './failures.ts';
import { gradientOf, meanLoss, type ProbeTask } from './probe-layer.ts';
import { adam, type Dense, lars, type Rule } from './probe-rules.ts';

/** One epoch of a probe. */
export interface ProbeEpoch {
  epoch: number;
  /** Mean cross-entropy of `stopped` after it. */
  loss: number;
}

export interface Probe {
  dense: Dense;
  loss: number;
  /** Epochs computed; the one whose weights these are, from 1. */
  epochs: number;
  kept: number;
}

export const linearProtocols = {
  /** Adam with its usual numbers, batch 64, patience 5, best epoch kept. */
  'simsiam-tf': { epochs: 100, batch: 64, learningRate: 1e-3, patience: 5 },
  /** SimSiam, section 4: LARS, 90 epochs, cosine; the rate is for a batch of 256 images. */
  paper: { epochs: 90, batch: 256, learningRate: 0.1, patience: null },
} as const satisfies Record<string, Partial<LinearProtocol>>;

/** What chance gives a probe. */
export interface ProbeDraws {
  dense: Dense;
  /** Place in `learned` of the i-th row of an epoch, from 0. */
  order: (epoch: number) => (i: number) => number;
}

/** The draws of a seed. */
export const drawsOf = (task: ProbeTask, protocol: LinearProtocol, seed: number): ProbeDraws => ({
  dense: firstDense(task, protocol, seed),
  order: (epoch) => permutation(seed, epoch, task.learned.length, 'probeOrder'),
});

/** First weights: Keras's Glorot uniform, or the paper's N(0, 0.01²); biases 0. */
function firstDense(task: ProbeTask, protocol: LinearProtocol, seed: number): Dense {
  const { width, classes } = task;
  const weights = new Float64Array(classes * width);
  if (protocol.name === 'paper') fillNormal(weights, 0.01, seed, 'probe', 0);
  else {
    const bound = Math.sqrt(6 / (width + classes));
    fillUniform(weights, seed, 'probe', 0, 0);
    for (let i = 0; i < weights.length; i += 1) weights[i] = (2 * weights[i]! - 1) * bound;
  }
  return { weights, bias: new Float64Array(classes) };
}

/** The rate of an epoch, from 0: constant, or a cosine from the peak to 0. */
function rateOf(protocol: LinearProtocol, epoch: number): number {
  const { name, learningRate, batch, epochs } = protocol;
  if (name === 'simsiam-tf') return learningRate;
  const peak = (learningRate * batch) / 256;
  return peak * 0.5 * (1 + cos((3.141592653589793 * epoch) / epochs));
}

/** Why a loss is no number: features that are none, or steps that were too large. */
function divergence({ features }: ProbeTask, { learningRate }: LinearProtocol, epoch: number) {
  const message = features.every(Number.isFinite)
    ? `the probe diverged in epoch ${epoch}: with a learning rate of ${learningRate} its loss is ` +
      'not finite any more. Use a lower --learning-rate'
    : 'the features hold numbers that are not finite, which no learning rate mends: the network ' +
      'that gave them diverged. Evaluate an earlier --checkpoint';
  return new Failure('diverged', message);
}

/**
 * Trains a probe; returns it with the weights of the epoch that is kept. Throws `diverged` where a
 * loss is not finite.
 */
export function* trainProbe(
  task: ProbeTask,
  protocol: LinearProtocol,
  draws: ProbeDraws,
): Generator<ProbeEpoch, Probe> {
  const { learned, stopped, classes, width } = task;
  const dense = copyOf(draws.dense);
  const rule: Rule = protocol.name === 'paper' ? lars(dense) : adam(dense);
  const gradient: Dense = {
    weights: new Float64Array(classes * width),
    bias: new Float64Array(classes),
  };
  const best = { dense: copyOf(dense), loss: Number.POSITIVE_INFINITY, kept: 0 };
  let epoch = 0;
  while (epoch < protocol.epochs) {
    const order = draws.order(epoch);
    const rate = rateOf(protocol, epoch);
    for (let first = 0; first < learned.length; first += protocol.batch) {
      const end = Math.min(first + protocol.batch, learned.length);
      const rows: number[] = [];
      for (let i = first; i < end; i += 1) rows.push(learned[order(i)]!);
      gradientOf(task, dense, rows, gradient);
      rule(dense, gradient, rate);
    }
    epoch += 1;
    const loss = meanLoss(task, dense, stopped);
    if (!Number.isFinite(loss)) throw divergence(task, protocol, epoch);
    yield { epoch, loss };
    const keep = protocol.patience === null || loss < best.loss;
    if (keep) Object.assign(best, { dense: copyOf(dense), loss, kept: epoch });
    else if (protocol.patience !== null && epoch - best.kept >= protocol.patience) break;
  }
  return { ...best, epochs: epoch };
}

const copyOf = ({ weights, bias }: Dense): Dense => ({
  weights: Float64Array.from(weights),
  bias: Float64Array.from(bias),
});
