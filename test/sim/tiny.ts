/**
 * The tiny exact model: a few weights, and a leaf whose gradient is an exact function of the
 * weights, the stream positions and the samples at them. A wrong sample, position, weight, order
 * of summing or count of a leaf changes the bits of the run.
 */
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import type { Architecture, Initial, TensorSpec } from '../../shared/core/architecture-types.ts';
import type { Method } from '../../shared/core/method.ts';
import { leafPositions } from '../../shared/core/order.ts';
import { permutation } from '../../shared/core/permutation.ts';
import type { Sample } from '../../shared/core/sample.ts';
import type { LeafOutput } from '../../shared/ports/compute.ts';

const f = Math.fround;
const drawn: Initial = { kind: 'uniform-fan-in', fanIn: 3 };

function laidOut(tensors: [name: string, length: number, initial: Initial][]): TensorSpec[] {
  let offset = 0;
  return tensors.map(([name, length, initial]) => {
    const spec = { name, shape: [length], offset, length, initial };
    offset += length;
    return spec;
  });
}

export const tinyArchitecture: Architecture = {
  featureWidth: 2,
  outputWidth: 4,
  parameters: laidOut([
    ['encoder.weight', 7, drawn],
    ['predictor.weight', 3, drawn],
    ['projector.weight', 2, drawn],
  ]),
  parameterCount: 12,
  statistics: laidOut([
    ['encoder.bn.running_mean', 1, { kind: 'constant', value: 0 }],
    ['encoder.bn.running_var', 1, { kind: 'constant', value: 1 }],
  ]),
  statisticCount: 2,
};

const sampleLists = new Map<number, Sample[]>();

/** So many samples, each with its own hash. */
export function tinySamples(count: number): Sample[] {
  const known = sampleLists.get(count);
  if (known !== undefined) return known;
  const samples = Array.from({ length: count }, (_, index) => {
    const sha256 = sha256Of(Uint8Array.of(index & 255, index >> 8));
    return { index, path: `${index}.png`, sha256, bytes: 2, label: null };
  });
  sampleLists.set(count, samples);
  return samples;
}

export interface TinyInput {
  inputHash: string;
  /** One number a slot: position and sample, or gray in its place. */
  slots: Float32Array;
  samples: number[];
}

const inputs = new Map<string, TinyInput>();
const inputsMax = 20_000;

const permutations = new Map<string, (index: number) => number>();

function sampleAt(seed: number, count: number, position: number): number {
  const epoch = Math.floor(position / count);
  const name = `${seed}/${count}/${epoch}`;
  const known = permutations.get(name) ?? permutation(seed, epoch, count);
  if (permutations.size > 4096) permutations.clear();
  permutations.set(name, known);
  return known(position % count);
}

/** What a leaf is computed from; `gray` samples count as mid-gray. */
export function tinyInput(
  method: Method,
  count: number,
  step: number,
  leaf: number,
  gray: readonly number[],
): TinyInput {
  const { seed, batch, microBatch } = method;
  const name = `${seed}/${count}/${batch}/${step}/${leaf}/${gray.join()}`;
  const known = inputs.get(name);
  if (known !== undefined) return known;
  const positions = leafPositions(step, leaf, batch, microBatch);
  const samples = positions.map((q) => sampleAt(seed, count, q));
  const numbers = samples.map((sample) => (gray.includes(sample) ? -1 : sample));
  const text = positions.map((q, slot) => `${q}:${numbers[slot]}`).join(' ');
  const inputHash = sha256Of(new TextEncoder().encode(text));
  const slots = Float32Array.from(positions, (q, slot) =>
    f(f(f((numbers[slot] as number) + 0.375) / count) + f((q % 8191) / 8191)),
  );
  const input = { inputHash, slots, samples };
  if (inputs.size > inputsMax) inputs.clear();
  inputs.set(name, input);
  return input;
}

/** The leaf: gradient, then the moments of both views. */
export function tinyLeaf(
  weights: Float32Array,
  statistics: Float32Array,
  { slots }: TinyInput,
): LeafOutput {
  const { parameterCount, statisticCount } = tinyArchitecture;
  const payload = new Float32Array(parameterCount + 2 * statisticCount);
  let loss = 0;
  for (let slot = 0; slot < slots.length; slot += 1) {
    const x = slots[slot] as number;
    for (let i = 0; i < parameterCount; i += 1) {
      const w = weights[i] as number;
      const g = f(f(f(w * x) + f(x / (i + 3))) - f(0.3 * w));
      payload[i] = f((payload[i] as number) + g);
      loss = f(loss + f(g * g));
    }
  }
  for (let i = 0; i < statisticCount; i += 1) {
    // The running statistics enter nothing in training; that they arrived does.
    const seen = Number.isFinite(statistics[i]) ? 0 : Number.NaN;
    payload[parameterCount + i] = f(f(loss / (i + 2)) + seen);
    payload[parameterCount + statisticCount + i] = f(f(loss / (i + 5)) + seen);
  }
  return { payload, loss: f(loss - 1), std: f(0.02 + loss / 1024) };
}
