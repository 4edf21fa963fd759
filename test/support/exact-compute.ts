/**
 * The compute port without TensorFlow: a small function of weights, pixels and views in correctly
 * rounded operations, the same bits everywhere.
 *
 * It is no network, but a result that depends on every input as a network's does: another pixel,
 * another draw of either view, another weight give another gradient. Two views of two images
 * instead of one show in the loss.
 */
import type { Architecture } from '../../shared/core/architecture-types.ts';
import type { Method } from '../../shared/core/method.ts';
import type { ViewInput } from '../../shared/core/view.ts';
import { flatIn } from './held-weights.ts';
import type { Compute, LeafInput, LeafOutput } from '../../shared/ports/compute.ts';

const f = Math.fround;

export interface ExactComputeOptions {
  /** Changes a result before it is handed out: a fault, a value that is not finite. */
  tamper?: (output: LeafOutput, leaf: number) => LeafOutput;
  /** Waited for before each leaf. */
  before?: (leaf: number) => Promise<void> | void;
}

/** A compute that also counts what was asked of it. */
export interface ExactCompute extends Compute {
  /** Leaves computed so far. */
  readonly leaves: number;
}

/** rows · canvas · columnsᵀ of each image, [n, size, size, 3] in [0, 1]. */
function geometry(pixels: Uint8Array, view: ViewInput, canvas: number, size: number): Float32Array {
  const images = view.rows.length / (size * canvas);
  const out = new Float32Array(images * size * size * 3);
  const half = new Float64Array(size * canvas * 3);
  for (let n = 0; n < images; n += 1) {
    half.fill(0);
    for (let y = 0; y < size; y += 1)
      for (let from = 0; from < canvas; from += 1) {
        const weight = view.rows[(n * size + y) * canvas + from] as number;
        if (weight === 0) continue;
        for (let i = 0; i < canvas * 3; i += 1)
          half[y * canvas * 3 + i] =
            (half[y * canvas * 3 + i] as number) +
            weight * (pixels[(n * canvas + from) * canvas * 3 + i] as number);
      }
    for (let y = 0; y < size; y += 1)
      for (let x = 0; x < size; x += 1)
        for (let channel = 0; channel < 3; channel += 1) {
          let sum = 0;
          for (let from = 0; from < canvas; from += 1)
            sum +=
              (view.columns[(n * size + x) * canvas + from] as number) *
              (half[(y * canvas + from) * 3 + channel] as number);
          out[((n * size + y) * size + x) * 3 + channel] = f(sum / 255);
        }
  }
  return out;
}

/** One number an output channel of the "network": where the input's sums meet the weights. */
function project(values: Float32Array, weights: Float32Array, width: number): Float32Array {
  const out = new Float32Array(width);
  for (let i = 0; i < values.length; i += 1) {
    const at = i % width;
    const weight = weights[i % weights.length] as number;
    out[at] = f((out[at] as number) + f((values[i] as number) * f(weight + 0.5)));
  }
  return out.map((sum) => f(sum / values.length));
}

export function exactCompute(
  method: Method,
  architecture: Architecture,
  options: ExactComputeOptions = {},
): ExactCompute {
  const { canvas, size } = method;
  const { parameterCount, statisticCount, outputWidth, featureWidth } = architecture;
  let weights: Float32Array = new Float32Array(parameterCount);
  let leaves = 0;

  function side(pixels: Uint8Array, view: ViewInput) {
    const seen = geometry(pixels, view, canvas, size);
    const colour = view.colour.reduce((sum, value) => f(sum + value), 0);
    const blur = view.blur?.rows.reduce((sum, value) => f(sum + f(value * value)), 0) ?? 0;
    return { seen, z: project(seen, weights, outputWidth), draws: f(f(colour) + f(blur)) };
  }

  function leafOf(input: LeafInput, into?: Float32Array): LeafOutput {
    const { pixels, view1, view2, labels } = input;
    const told = labels?.reduce((sum, label, i) => sum + label * (i + 1), 0) ?? 0;
    const a = side(pixels, view1);
    const b = side(pixels, view2);
    const payload = into ?? new Float32Array(parameterCount + 2 * statisticCount);
    for (let i = 0; i < parameterCount; i += 1) {
      const one = f((a.seen[i % a.seen.length] as number) - f(a.draws / 64));
      const two = f((b.seen[i % b.seen.length] as number) - f(b.draws / 128));
      payload[i] = f(f(f(one * two) - f(0.25 + told)) + f((weights[i] as number) / 16));
    }
    for (let i = 0; i < statisticCount; i += 1) {
      payload[parameterCount + i] = f((a.z[i % outputWidth] as number) + 1);
      payload[parameterCount + statisticCount + i] = f((b.z[i % outputWidth] as number) + 1);
    }
    const apart = a.z.reduce((sum, value, i) => f(sum + Math.abs(value - (b.z[i] as number))), 0);
    return { payload, loss: f(f(apart) - 1), std: f(Math.abs(a.z[0] as number)) };
  }

  return {
    get leaves() {
      return leaves;
    },
    describe: () => ({
      backend: 'wasm',
      device: 'CPU',
      version: 'exact 1',
      intraOpThreads: 1,
      interOpThreads: 1,
    }),
    async load(memory) {
      ({ weights } = flatIn(architecture, memory));
    },
    async leaf(input, into) {
      const number = leaves;
      leaves += 1;
      await options.before?.(number);
      const output = leafOf(input, into);
      return options.tamper?.(output, number) ?? output;
    },
    async features(pixels, view) {
      const seen = geometry(pixels, view, canvas, size);
      const images = seen.length / (size * size * 3);
      const out = new Float32Array(images * featureWidth);
      for (let n = 0; n < images; n += 1) {
        const image = seen.subarray(n * size * size * 3, (n + 1) * size * size * 3);
        out.set(project(image, weights, featureWidth), n * featureWidth);
      }
      return out;
    },
    async moments(pixels, view) {
      const seen = geometry(pixels, view, canvas, size);
      return Float32Array.from({ length: statisticCount }, (_, i) =>
        f((seen[i % seen.length] as number) + 1),
      );
    },
    async view(pixels, view) {
      return geometry(pixels, view, canvas, size);
    },
    async close() {
      weights = new Float32Array(parameterCount);
    },
  };
}
