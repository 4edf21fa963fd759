/**
 * A tiny SimSiam for tests: two residual layers, 8-pixel views, micro-batches of 6, and inputs made
 * of addressed draws. Also which backends this machine has.
 */
import { createRequire } from 'node:module';
import { architectureOf, type NetworkPlan } from '../../../shared/core/architecture.ts';
import type { Backend, Method } from '../../../shared/core/method.ts';
import type { ViewInput } from '../../../shared/core/view.ts';
import { heldWeights, type WeightMemory } from '../../../shared/core/weight-memory.ts';
import type { LeafInput } from '../../../shared/ports/compute.ts';
import { computeEnvironment } from '../../../worker/compute/environment.ts';

// Before TensorFlow loads: one thread, or the bits are this machine's alone.
Object.assign(process.env, computeEnvironment(process.env, { precision: 'f32' }));

const require = createRequire(import.meta.url);

/** Why a backend's tests cannot run here, or false. */
export function skipReason(backend: Backend): string | false {
  if (backend === 'wasm') return false;
  try {
    require('@mapbox/node-pre-gyp');
    require.resolve('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
    return false;
  } catch {
    return 'the TensorFlow addon is not built here (npm run setup)';
  }
}

export const backends: readonly Backend[] = ['tensorflow', 'wasm'];

export const plan: NetworkPlan = {
  block: 'basic',
  depths: [1, 1],
  width: 8,
  stem: 'cifar',
  projector: [16, 16],
  predictorHidden: 8,
};
export const tinyArchitecture = architectureOf(plan);

export const size = 8;
export const canvas = 12;
export const microBatch = 6;

export const method = {
  ...{ model: 'resnet18-cifar', objective: 'simsiam', size, canvas, microBatch },
} as Method;

/** Numbers in [0, 1) from a seed (an LCG's high bits: plenty for a test). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

/** Roughly normal numbers. */
export function normals(seed: number, length: number, deviation = 1): Float32Array {
  const next = numbers(seed);
  return Float32Array.from(
    { length },
    () => (next() + next() + next() + next() - 2) * 1.732 * deviation,
  );
}

/**
 * Weights under which every tensor matters: first values have zeros (the last norm of each block,
 * biases) behind which gradients vanish.
 */
export function livelyWeights(architecture = tinyArchitecture, seed = 1): Float32Array {
  const weights = new Float32Array(architecture.parameterCount);
  for (const [i, { offset, length, initial, shape, name }] of architecture.parameters.entries()) {
    const fan = shape.slice(0, -1).reduce((product, side) => product * side, 1);
    const drawn = normals(seed + i, length, shape.length > 1 ? Math.sqrt(2 / fan) : 0.2);
    const centre = initial.kind === 'constant' && name.endsWith('.weight') ? 1 : 0;
    weights.set(
      drawn.map((value) => centre + value),
      offset,
    );
  }
  return weights;
}

export function firstStatistics(architecture = tinyArchitecture): Float32Array {
  const statistics = new Float32Array(architecture.statisticCount);
  for (const { offset, length, initial } of architecture.statistics) {
    statistics.fill(initial.kind === 'constant' ? initial.value : 0, offset, offset + length);
  }
  return statistics;
}

/** Lively weights as a compute takes them. */
export function lively(architecture = tinyArchitecture, seed = 1): WeightMemory {
  return held(livelyWeights(architecture, seed), architecture);
}

/** These weights as a compute takes them, with first statistics. */
export function held(weights: Float32Array, architecture = tinyArchitecture): WeightMemory {
  return heldWeights(architecture, 'f32', weights, firstStatistics(architecture));
}

/** A view that shifts by whole pixels, blurs a little and changes colour. */
export function viewOf(seed: number, m = microBatch, plain = false): ViewInput {
  const next = numbers(seed);
  const rows = new Float32Array(m * size * canvas);
  const columns = new Float32Array(m * size * canvas);
  const blur = {
    rows: new Float32Array(m * size * size),
    columns: new Float32Array(m * size * size),
  };
  const colour = new Float32Array(m * 5);
  for (let i = 0; i < m; i++) {
    const [down, across] = [next(), next()].map((u) => (plain ? 0 : Math.floor(u * 5)));
    for (let y = 0; y < size; y++) {
      rows[(i * size + y) * canvas + y + (down ?? 0)] = 1;
      columns[(i * size + y) * canvas + y + (across ?? 0)] = 1;
      for (const side of [blur.rows, blur.columns]) {
        side[(i * size + y) * size + y] = plain ? 1 : 0.75;
        if (!plain) side[(i * size + y) * size + ((y + 1) % size)] = 0.25;
      }
    }
    const jitter = [0.6 + 0.8 * next(), 0.6 + 0.8 * next(), 0.6 + 0.8 * next(), 0.2 * next() - 0.1];
    colour.set(plain ? [1, 1, 1, 0, 0] : [...jitter, i % 3 === 0 ? 1 : 0], i * 5);
  }
  return { rows, columns, colour, blur };
}

/** A smooth picture each: pixels that neighbours resemble, as in photographs. */
export function pixelsOf(seed: number, m = microBatch): Uint8Array {
  const next = numbers(seed);
  const pixels = new Uint8Array(m * canvas * canvas * 3);
  let at = 0;
  for (let i = 0; i < m; i++) {
    const [a, b, c, d] = [next(), next(), next(), next()] as [number, number, number, number];
    for (let y = 0; y < canvas; y++) {
      for (let x = 0; x < canvas; x++) {
        for (let channel = 0; channel < 3; channel++) {
          const wave = Math.sin(a * y + b * x + 6 * c * (channel + 1)) * 0.4 + 0.5;
          pixels[at++] = 255 * (0.9 * wave + 0.1 * d);
        }
      }
    }
  }
  return pixels;
}

export function leafInput(seed = 1): LeafInput {
  return { pixels: pixelsOf(seed), view1: viewOf(seed + 100), view2: viewOf(seed + 200) };
}
