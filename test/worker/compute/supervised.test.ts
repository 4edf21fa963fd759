/**
 * The supervised objective: one loss and gradient on every backend, the right gradient, and labels
 * that matter and are asked for.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { architectureOf } from '../../../shared/core/architecture.ts';
import type { Backend, Method } from '../../../shared/core/method.ts';
import type { Compute, LeafOutput } from '../../../shared/ports/compute.ts';
import { createCompute } from '../../../worker/compute/compute.ts';
import {
  leafInput,
  livelyWeights,
  method as simSiamMethod,
  microBatch,
  plan as simSiamPlan,
  skipReason,
  held,
} from './tiny.ts';

const classes = ['aster', 'poppy', 'rose'];
const plan = { ...simSiamPlan, classes: classes.length };
const architecture = architectureOf(plan);
const method: Method = { ...simSiamMethod, objective: 'supervised', classes };
const labels = Int32Array.from({ length: microBatch }, (_, i) => i % classes.length);
const input = { ...leafInput(), labels };

const outputs: LeafOutput[] = [];

const ways: { backend: Backend; mode: 'compiled' | 'eager' }[] = [
  { backend: 'tensorflow', mode: 'compiled' },
  { backend: 'tensorflow', mode: 'eager' },
  { backend: 'wasm', mode: 'eager' },
];
for (const { backend, mode } of ways) {
  describe(`supervised, ${mode} on ${backend}`, { skip: skipReason(backend) }, () => {
    let compute: Compute;
    before(async () => {
      compute = await createCompute({ backend, mode, method, architecture, plan });
    });
    after(() => compute.close());

    test('the gradient is that of the loss', async () => {
      const weights = livelyWeights(architecture);
      await compute.load(held(weights, architecture));
      const output = await compute.leaf(input);
      outputs.push(output);
      assert.ok(output.loss > 0 && output.std > 0);
      const { parameters, statistics } = architecture;
      assert.ok(statistics.every(({ name }) => name.startsWith('encoder.')));
      for (const { name, offset, length } of parameters) {
        const gradient = output.payload.subarray(offset, offset + length);
        // Along the gradient of one tensor the loss grows by its squared length.
        const squares = gradient.reduce((sum, value) => sum + value * value, 0);
        const step = 0.01 / Math.sqrt(squares);
        const moved = async (sign: number) => {
          const to = Float32Array.from(weights);
          gradient.forEach((value, i) => (to[offset + i] = to[offset + i]! + sign * step * value));
          await compute.load(held(to, architecture));
          return (await compute.leaf(input)).loss;
        };
        const slope = ((await moved(1)) - (await moved(-1))) / (2 * step);
        assert.ok(Math.abs(slope / squares - 1) < 0.05, `${name}: ${slope} beside ${squares}`);
      }
      await compute.load(held(weights, architecture));
    });

    test('other labels give another loss, and a leaf without them is refused', async () => {
      const other = Int32Array.from(labels, (label) => (label + 1) % classes.length);
      const [first, second] = [
        await compute.leaf(input),
        await compute.leaf({ ...input, labels: other }),
      ];
      assert.notEqual(first.loss, second.loss);
      await assert.rejects(compute.leaf(leafInput()), /Expected 6 labels/);
      await assert.rejects(compute.leaf({ ...input, labels: labels.subarray(1) }), /found 5/);
    });
  });
}

test('every way agrees', () => {
  const [first, ...others] = outputs;
  for (const other of others) {
    assert.ok(Math.abs(other.loss - (first?.loss ?? Number.NaN)) < 1e-5);
    for (const [i, value] of other.payload.entries()) {
      assert.ok(
        Math.abs(value - (first?.payload[i] ?? Number.NaN)) < 2e-4 * Math.max(1, Math.abs(value)),
      );
    }
  }
});
