/**
 * A whole leaf against PyTorch (simsiam_torch.py, float64): loss, std, gradients, moments, features.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { architectureOf, type NetworkPlan } from '../../shared/core/architecture.ts';
import type { TensorSpec } from '../../shared/core/architecture-types.ts';
import type { Method } from '../../shared/core/method.ts';
import type { ViewInput } from '../../shared/core/view.ts';
import { heldWeights } from '../../shared/core/weight-memory.ts';
import { createCompute } from '../../worker/compute/compute.ts';
import { backends, skipReason } from '../worker/compute/tiny.ts';

interface Case {
  name: string;
  plan: NetworkPlan;
  microBatch: number;
  size: number;
  loss: number;
  std: number;
  gradients: Record<string, { length: number; norm: number; along: number; first: number[] }>;
  momentsOfView1: Record<string, number[]>;
  features: number[];
}

const file = new URL('../../../test/parity/simsiam-torch.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] };

// f32 against f64 through some twenty layers with batch norm over as few as 8 values. PyTorch's own
// f32 gradients differ from its f64 ones by up to 7e-5 of a tensor's norm here.
const lossTolerance = 1e-5;
const gradientTolerance = 5e-4; // of the tensor's norm
const featureTolerance = 1e-4; // of the largest

for (const backend of backends) {
  describe(`PyTorch and ${backend}`, { skip: skipReason(backend) }, () => {
    for (const expected of cases) {
      test(`agree on ${expected.name}`, async () => {
        const { plan, size, microBatch: m } = expected;
        const architecture = architectureOf(plan);
        const method = {
          model: 'resnet18',
          objective: 'simsiam',
          size,
          canvas: 2 * size,
          microBatch: m,
        } as Method;
        const compute = await createCompute({ backend, method, architecture, plan });
        const weights = flatten(architecture.parameters, weightValues);
        const statistics = flatten(architecture.statistics, statisticValues);
        await compute.load(heldWeights(architecture, 'f32', weights, statistics));

        const input = sideBySide(m, size);
        const { payload, loss, std } = await compute.leaf(input);
        near(loss, expected.loss, lossTolerance, 'loss');
        near(std, expected.std, lossTolerance, 'std');
        assert.deepEqual(
          architecture.parameters.map(({ name, length }) => [name, length]),
          Object.entries(expected.gradients).map(([name, { length }]) => [name, length]),
        );
        for (const [i, { name, offset, length }] of architecture.parameters.entries()) {
          const gradient = payload.subarray(offset, offset + length);
          const reference = expected.gradients[name];
          assert.ok(reference);
          const { norm, along, first } = reference;
          const direction = uniform(3000 + i, length);
          const product = gradient.reduce(
            (sum, g, k) => sum + g * (2 * (direction[k] ?? 0) - 1),
            0,
          );
          near(Math.hypot(...gradient), norm, gradientTolerance * norm, `|${name}|`);
          near(product, along, gradientTolerance * norm, `${name} along a direction`);
          for (const [k, value] of first.entries()) {
            near(gradient[k], value, gradientTolerance * norm, `${name}[${k}]`);
          }
        }
        for (const { name, offset } of architecture.statistics) {
          const values = expected.momentsOfView1[name] ?? [];
          const largest = Math.max(0.01, ...values.map(Math.abs));
          for (const [k, value] of values.entries()) {
            const found = payload[architecture.parameterCount + offset + k];
            near(found, value, 1e-4 * largest, `${name}[${k}]`);
          }
        }
        const features = await compute.features(input.pixels, input.view1);
        const largest = Math.max(...expected.features.map(Math.abs));
        for (const [k, value] of expected.features.entries()) {
          near(features[k], value, featureTolerance * largest, `feature ${k}`);
        }
        await compute.close();
      });
    }
  });
}

/** View 1 lies in the top-left quarter of each canvas, view 2 in the bottom-right; no colour. */
function sideBySide(m: number, size: number) {
  const canvas = 2 * size;
  const pixels = new Uint8Array(m * canvas * canvas * 3);
  const views = [0, 1].map((view): ViewInput => {
    const values = uniform(2000 + view, m * size * size * 3);
    const rows = new Float32Array(m * size * canvas);
    for (let i = 0; i < m; i++) {
      for (let y = 0; y < size; y++) {
        const row = y + view * size;
        rows[(i * size + y) * canvas + row] = 1;
        const from = values.subarray((i * size + y) * size * 3, (i * size + y + 1) * size * 3);
        const at = ((i * canvas + row) * canvas + view * size) * 3;
        pixels.set(
          from.map((u) => Math.floor(u * 256)),
          at,
        );
      }
    }
    const colour = Float32Array.from({ length: m * 5 }, (_, i) => (i % 5 < 3 ? 1 : 0));
    return { rows, columns: rows.slice(), colour, blur: null };
  }) as [ViewInput, ViewInput];
  return { pixels, view1: views[0], view2: views[1] };
}

/** As in simsiam_torch.py: numbers in [0, 1), multiples of 2^-24. */
function uniform(tensor: number, length: number): Float64Array {
  const base = (Math.imul(tensor, 2246822519) + 12345) >>> 0;
  return Float64Array.from({ length }, (_, i) => {
    let x = (Math.imul(i, 2654435761) + base) >>> 0;
    x ^= x >>> 15;
    x = Math.imul(x, 2246822519);
    x ^= x >>> 13;
    x = Math.imul(x, 3266489917);
    x ^= x >>> 16;
    return (x >>> 8) / 2 ** 24;
  });
}

function weightValues(spec: TensorSpec, index: number): Float64Array {
  const u = uniform(index, spec.length);
  if (spec.shape.length === 1)
    return u.map((v) => (spec.name.endsWith('.weight') ? v + 0.5 : v - 0.5));
  const fanIn = spec.shape.slice(0, -1).reduce((product, side) => product * side, 1);
  return u.map((v) => (2 * v - 1) * Math.sqrt(6 / fanIn));
}

function statisticValues(spec: TensorSpec, index: number): Float64Array {
  const u = uniform(1000 + index, spec.length);
  return u.map((v) => (spec.name.endsWith('mean') ? v - 0.5 : v + 0.5));
}

function flatten(
  specs: readonly TensorSpec[],
  values: (spec: TensorSpec, index: number) => Float64Array,
): Float32Array {
  const flat = new Float32Array(specs.reduce((sum, { length }) => sum + length, 0));
  for (const [i, spec] of specs.entries()) flat.set(values(spec, i), spec.offset);
  return flat;
}

function near(found: number | undefined, expected: number, tolerance: number, what: string): void {
  const difference = Math.abs((found ?? Number.NaN) - expected);
  assert.ok(difference <= tolerance, `${what}: ${found} for ${expected}, allowed ${tolerance}`);
}
