/**
 * A model of a few tensors, made by hand so that the interesting places fall on bucket and rate
 * borders, and what an honest cluster makes of it: leaf payloads, their plain recursive sum, the
 * update written out a second time.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { prepareRunFolder } from '../../coordinator/shell/run-folder.ts';
import type { Architecture, Initial, TensorSpec } from '../../shared/core/architecture-types.ts';
import { bucketElements } from '../../shared/wire/limits.ts';

const drawn: Initial = { kind: 'uniform-fan-in', fanIn: 3 };

function laidOut(tensors: [name: string, shape: number[], initial: Initial][]): {
  specs: TensorSpec[];
  count: number;
} {
  let offset = 0;
  const specs = tensors.map(([name, shape, initial]) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape, offset, length, initial };
    offset += length;
    return spec;
  });
  return { specs, count: offset };
}

function architectureFrom(
  parameters: [string, number[], Initial][],
  statistics: [string, number[], Initial][],
): Architecture {
  const p = laidOut(parameters);
  const s = laidOut(statistics);
  return {
    featureWidth: 2,
    outputWidth: 4,
    parameters: p.specs,
    parameterCount: p.count,
    statistics: s.specs,
    statisticCount: s.count,
  };
}

const constant = (value: number): Initial => ({ kind: 'constant', value });

/** A few dozen numbers. */
export const tinyModel: Architecture = architectureFrom(
  [
    ['encoder.conv1.weight', [2, 2, 3, 2], drawn],
    ['encoder.fc.bias', [5], constant(0)],
    ['predictor.0.weight', [4, 3], drawn],
    ['projector.0.weight', [3, 4], drawn],
  ],
  [
    ['encoder.bn1.running_mean', [2], constant(0)],
    ['encoder.bn1.running_var', [2], constant(1)],
  ],
);

/**
 * Three buckets: the predictor lies across the border of the first two, the moments begin within
 * the last.
 */
export const threeBuckets: Architecture = architectureFrom(
  [
    ['encoder.conv1.weight', [bucketElements - 1000], drawn],
    ['predictor.0.weight', [3000], drawn],
    ['projector.0.weight', [bucketElements + 500], drawn],
  ],
  [
    ['encoder.bn1.running_mean', [30], constant(0)],
    ['encoder.bn1.running_var', [30], constant(1)],
  ],
);

/** Numbers of many sizes, so that every change of order shows. */
export function payloadOf(architecture: Architecture, step: number, leaf: number): Float32Array {
  const length = architecture.parameterCount + 2 * architecture.statisticCount;
  const payload = new Float32Array(length);
  let state = (step * 7919 + leaf * 104729 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    payload[i] = ((state >>> 8) / 2 ** 24 - 0.5) * 2 ** (((state >>> 3) & 15) - 8);
  }
  return payload;
}

/** The sum over leaves [first, end), split after the largest power of two below its length. */
export function plainSum(
  leafPayload: (leaf: number) => Float32Array,
  first: number,
  end: number,
): Float32Array {
  const length = end - first;
  if (length === 1) return leafPayload(first).slice();
  let split = 1;
  while (split * 2 < length) split *= 2;
  const left = plainSum(leafPayload, first, first + split);
  const right = plainSum(leafPayload, first + split, end);
  return left.map((value, i) => Math.fround(value + (right[i] as number)));
}

/** A run folder that goes when the test ends. */
export async function runFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await prepareRunFolder(folder);
  return folder;
}
