/**
 * Real networks for three steps against PyTorch in float64 (resnet_torch.py): loss, every gradient,
 * batch moments, weights. The compiled step, in f32 and in bf16.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { architecture } from '../../shared/core/architecture.ts';
import type { TensorSpec } from '../../shared/core/architecture-types.ts';
import { initialStatistics } from '../../shared/core/initialise.ts';
import type { Method, ModelName } from '../../shared/core/method.ts';
import { sgdStep } from '../../shared/core/update.ts';
import { createCompute } from '../../worker/compute/compute.ts';
import { cpuFlags, precisionRefusal } from '../../worker/compute/precision.ts';
import { skipReason } from '../worker/compute/tiny.ts';
import { hashed, hashedViews, probesOf } from './hashed.ts';

/** Norm, product with a direction, three elements. */
type Probes = Record<string, [number, number, number, number, number]>;
interface Distance {
  median: number;
  largest: number;
}
interface Case {
  model: ModelName;
  size: number;
  microBatch: number;
  losses: number[];
  /** How far PyTorch's own f32 and bf16 lie from float64. */
  own: Record<'f32' | 'bf16', { loss: number; gradients: Distance; momentum: Distance }>;
  gradients: Probes;
  moments1: Probes;
  moments2: Probes;
  weights: Probes;
  momentum: Probes;
}

const file = new URL('../../../test/parity/resnet-torch.json', import.meta.url);
const fixture = JSON.parse(readFileSync(file, 'utf8')) as {
  steps: number;
  rate: number;
  momentum: number;
  decay: number;
  /** Share of the norm of all tensors below which a tensor's own is not divided by. */
  floor: number;
  cases: Case[];
};

const graphFolder = mkdtempSync(join(tmpdir(), 'graphs-'));
after(() => rmSync(graphFolder, { recursive: true }));

function firstWeights({ model }: Case): Float32Array {
  const { parameters, parameterCount } = architecture(model);
  const last = model.startsWith('resnet50') ? '.bn3.' : '.bn2.';
  const flat = new Float32Array(parameterCount);
  for (const [i, { name, shape, offset, length }] of parameters.entries()) {
    const fanIn = shape.slice(0, -1).reduce((product, side) => product * side, 1);
    const scale = Math.sqrt(6 / fanIn);
    const strength = name.includes(last) ? 0.8 : name.includes('.downsample.') ? 7 : 5;
    const value = (u: number): number => {
      if (shape.length > 1) return (2 * u - 1) * scale;
      if (name === 'predictor.3.bias') return u - 0.5;
      if (name.endsWith('.weight')) return name.includes(last) ? 0.05 + 0.1 * u : 0.5 + 0.5 * u;
      return u < 0.5 ? strength : -strength;
    };
    flat.set(hashed(i, length).map(value), offset);
  }
  return flat;
}

interface Trained {
  losses: number[];
  gradient: Float32Array;
  moments: [Float32Array, Float32Array];
  weights: Float32Array;
  momentum: Float32Array;
}

async function train(one: Case, precision: 'f32' | 'bf16'): Promise<Trained> {
  const { model, size, microBatch } = one;
  const network = architecture(model);
  const method = { model, size, canvas: 2 * size, microBatch, precision } as Method;
  const compute = await createCompute({
    backend: 'tensorflow',
    mode: 'compiled',
    method,
    architecture: network,
    graphFolder,
  });
  const first = firstWeights(one);
  let weights: Float32Array = first;
  let momentum: Float32Array = new Float32Array(first.length);
  const losses: number[] = [];
  let payload = new Float32Array();
  for (let step = 0; step < fixture.steps; step++) {
    await compute.load(weights, initialStatistics(network));
    const leaf = await compute.leaf(hashedViews(microBatch, size));
    losses.push(leaf.loss);
    if (step === 0) payload = leaf.payload as typeof payload;
    const nextWeights = new Float32Array(first.length);
    const nextMomentum = new Float32Array(first.length);
    sgdStep({
      weights,
      momentum,
      gradient: leaf.payload,
      nextWeights,
      nextMomentum,
      start: 0,
      end: first.length,
      rate: fixture.rate,
      momentumFactor: fixture.momentum,
      weightDecay: fixture.decay,
    });
    weights = nextWeights;
    momentum = nextMomentum;
  }
  await compute.close();
  const { parameterCount: n, statisticCount: s } = network;
  return {
    losses,
    gradient: payload.subarray(0, n),
    moments: [payload.subarray(n, n + s), payload.subarray(n + s)],
    weights,
    momentum,
  };
}

/** Each tensor's largest probe error, in units of its norm; sorted, with its name. */
function errorsOf(
  specs: readonly TensorSpec[],
  flat: Float32Array,
  expected: Probes,
  firstDirection: number,
): { name: string; error: number; along: number }[] {
  assert.deepEqual(
    specs.map(({ name }) => name),
    Object.keys(expected),
  );
  const floor = fixture.floor * Math.hypot(...Object.values(expected).map(([norm]) => norm));
  return specs
    .map(({ name, offset, length }, i) => {
      const reference = expected[name] as number[];
      const found = probesOf(flat.subarray(offset, offset + length), firstDirection + i);
      const norm = Math.max(reference[0] as number, floor);
      const errors = found.map((value, k) => Math.abs(value - (reference[k] as number)) / norm);
      return { name, error: Math.max(...errors), along: errors[1] as number };
    })
    .sort((a, b) => a.error - b.error);
}

const told = (errors: { name: string; error: number }[]): string =>
  errors
    .slice(-4)
    .map(({ name, error }) => `${name} ${error.toExponential(1)}`)
    .join(', ');

for (const one of fixture.cases) {
  const network = architecture(one.model);
  const name = `${one.model} at ${one.size} px`;

  describe(`PyTorch and the compiled step of ${name}`, { skip: skipReason('tensorflow') }, () => {
    test('agree in f32', async () => {
      const found = await train(one, 'f32');
      const { parameters, statistics } = network;
      const errors = {
        gradients: errorsOf(parameters, found.gradient, one.gradients, 3000),
        moments1: errorsOf(statistics, found.moments[0], one.moments1, 4000),
        moments2: errorsOf(statistics, found.moments[1], one.moments2, 4000),
        weights: errorsOf(parameters, found.weights, one.weights, 3000),
        momentum: errorsOf(parameters, found.momentum, one.momentum, 3000),
      };
      const losses = found.losses.map((loss, i) => Math.abs(loss - (one.losses[i] as number)));
      console.log(name, losses, Object.entries(errors).map(([k, e]) => `${k}: ${told(e)}`));
    });
  });
}
