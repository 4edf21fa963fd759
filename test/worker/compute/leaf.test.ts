/**
 * A training leaf on every backend: its layout, its gradient, its memory, its bits.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Compute, LeafOutput } from '../../../shared/ports/compute.ts';
import { createCompute } from '../../../worker/compute/compute.ts';
import { simSiam } from '../../../worker/compute/model.ts';
import { tf } from '../../../worker/compute/tfjs.ts';
import {
  backends,
  leafInput,
  livelyWeights,
  method,
  microBatch,
  normals,
  plan,
  skipReason,
  tinyArchitecture as architecture,
  viewOf,
  held,
  lively,
} from './tiny.ts';

const outputs = new Map<string, LeafOutput>();

for (const backend of backends) {
  describe(`on ${backend}`, { skip: skipReason(backend) }, () => {
    let compute: Compute;
    before(async () => {
      compute = await createCompute({ backend, method, architecture, plan });
      await compute.load(lively());
    });
    after(() => compute.close());

    test('the payload is the gradient and the moments of both views, all of them alive', async () => {
      const output = await compute.leaf(leafInput());
      outputs.set(backend, output);
      const { parameterCount, statisticCount, parameters, statistics } = architecture;
      assert.equal(output.payload.length, parameterCount + 2 * statisticCount);
      assert.ok(output.payload.every(Number.isFinite));
      for (const { name, offset, length } of parameters) {
        const gradient = output.payload.subarray(offset, offset + length);
        assert.ok(
          gradient.some((value) => value !== 0),
          `${name} has no gradient`,
        );
      }
      for (const [i, { name, offset, length }] of [...statistics, ...statistics].entries()) {
        const start = parameterCount + (i < statistics.length ? 0 : statisticCount) + offset;
        const moments = output.payload.subarray(start, start + length);
        assert.ok(
          moments.some((value) => value !== 0),
          `${name} was not recorded`,
        );
        if (name.endsWith('_var'))
          assert.ok(
            moments.every((value) => value >= 0),
            name,
          );
      }
      const view1 = output.payload.slice(parameterCount, parameterCount + statisticCount);
      const view2 = output.payload.slice(parameterCount + statisticCount);
      assert.notDeepEqual(view1, view2, 'the views must differ');
      assert.ok(output.loss >= -1 && output.loss <= 1);
      assert.equal(output.loss, Math.fround(output.loss));
      assert.ok(output.std > 0);
    });

    test('the same leaf twice has the same bits, whatever came between', async () => {
      const first = await compute.leaf(leafInput(1));
      await compute.leaf(leafInput(2));
      await compute.features(leafInput(3).pixels, leafInput(3).view1);
      const second = await compute.leaf(leafInput(1));
      assert.deepEqual(
        new Uint32Array(second.payload.buffer),
        new Uint32Array(first.payload.buffer),
      );
      assert.equal(second.loss, first.loss);
      assert.equal(second.std, first.std);
    });

    test('another image, view or weight gives another leaf', async () => {
      const base = await compute.leaf(leafInput());
      const otherView = await compute.leaf({ ...leafInput(), view2: viewOf(77) });
      assert.notEqual(otherView.loss, base.loss);
      await compute.load(lively(architecture, 2));
      const otherWeights = await compute.leaf(leafInput());
      assert.notEqual(otherWeights.loss, base.loss);
      await compute.load(lively());
    });

    test('steps leave no tensor behind', async () => {
      const tensors = () => tf.memory().numTensors;
      await compute.leaf(leafInput());
      const first = tensors();
      for (let step = 0; step < 3; step++) {
        await compute.load(lively());
        await compute.leaf(leafInput(step));
        await compute.features(leafInput().pixels, leafInput().view1);
        await compute.view(leafInput().pixels, leafInput().view1);
        assert.equal(tensors(), first);
      }
      // Compiled, weights are TensorFlow's alone and no tensor of tfjs.
      const weights = architecture.parameters.length + architecture.statistics.length;
      assert.equal(first, compute.describe().mode === 'compiled' ? 0 : weights);
    });

    test('features of an image do not depend on its batch', async () => {
      const { pixels, view1 } = leafInput();
      const all = await compute.features(pixels, view1);
      assert.equal(all.length, microBatch * architecture.featureWidth);
      const share = <T extends Float32Array | Uint8Array>(values: T) =>
        values.subarray(0, values.length / microBatch) as T;
      const one = await compute.features(share(pixels), {
        rows: share(view1.rows),
        columns: share(view1.columns),
        colour: share(view1.colour),
        blur: view1.blur && { rows: share(view1.blur.rows), columns: share(view1.blur.columns) },
      });
      closeTo(one, all.subarray(0, one.length), 1e-5, 'features');
    });

    test('the gradient is the slope of the loss (without stop-gradient, where that is so)', async () => {
      const objective = simSiam(plan, (z) => z);
      const free = await createCompute({ backend, method, architecture, plan, objective });
      const weights = livelyWeights();
      const lossAt = async (step: number, direction: Float32Array): Promise<number> => {
        await free.load(held(weights.map((w, i) => w + step * (direction[i] ?? 0))));
        return (await free.leaf(leafInput())).loss;
      };
      await free.load(held(weights));
      const { payload } = await free.leaf(leafInput());
      // Along each tensor's own gradient, scaled so that the loss changes well above its rounding
      // (1e-7) and little enough that the curve is a line there: central differences over ±0.005.
      let checked = 0;
      for (const { name, offset, length } of architecture.parameters) {
        const gradient = payload.subarray(offset, offset + length);
        const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
        if (norm < 1e-3) continue; // the loss does not notice it above its rounding
        checked++;
        const direction = new Float32Array(weights.length);
        direction.set(
          gradient.map((g) => g / norm),
          offset,
        );
        const h = Math.min(0.005, 0.0005 / norm);
        const slope = ((await lossAt(h, direction)) - (await lossAt(-h, direction))) / (2 * h);
        assert.ok(Math.abs(slope - norm) < 0.02 * norm + 1e-7 / h, `${name}: ${slope}, ${norm}`);
      }
      assert.ok(checked > 0.8 * architecture.parameters.length, `only ${checked} were checked`);
      await free.close();
    });

    test('weights of another model are refused', async () => {
      await assert.rejects(compute.load(new Uint8Array(7)), /another model/);
    });
  });
}

test('wasm and TensorFlow agree within f32 rounding', { skip: skipReason('tensorflow') }, () => {
  const [a, b] = [outputs.get('tensorflow'), outputs.get('wasm')];
  assert.ok(a && b);
  // Both sum in f32 in another order: relative errors of 1e-7 a sum, grown by some twenty layers
  // and by batch norms over as few as 6 values. 1e-4 of each tensor's largest value holds both
  // (and 1e-6 where that is nearly 0, such as the mean of a centred z).
  assert.ok(Math.abs(a.loss - b.loss) < 1e-5);
  assert.ok(Math.abs(a.std - b.std) < 1e-5);
  const { parameters, statistics, parameterCount, statisticCount } = architecture;
  const views = [0, 1].flatMap((view) =>
    statistics.map((spec) => ({
      ...spec,
      offset: parameterCount + view * statisticCount + spec.offset,
    })),
  );
  for (const { name, offset, length } of [...parameters, ...views]) {
    closeTo(
      b.payload.subarray(offset, offset + length),
      a.payload.subarray(offset, offset + length),
      1e-4,
      name,
    );
  }
});

/** Every difference is at most `tolerance` of the largest expected value. */
function closeTo(found: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  assert.equal(found.length, expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0.01);
  const worst = found.reduce((most, v, i) => Math.max(most, Math.abs(v - (expected[i] ?? 0))), 0);
  assert.ok(worst <= tolerance * largest, `${what}: off by ${worst} of ${largest}`);
}

test('closeTo can fail', () => {
  assert.throws(() => closeTo(normals(1, 4), normals(2, 4), 1e-4, 'noise'));
});
