/**
 * Loss, its gradients and the collapse monitor against PyTorch's values (simsiam.json).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { useTensorflow } from '../../worker/compute/backend-tensorflow.ts';
import { useWasm } from '../../worker/compute/backend-wasm.ts';
import { negativeCosine, outputStd, simSiamLoss } from '../../worker/compute/loss.ts';
import { type Tensor2D, tf } from '../../worker/compute/tfjs.ts';
import { backends, skipReason } from '../worker/compute/tiny.ts';

type Matrix = number[][];
interface Fixture {
  loss: Record<'p1' | 'p2' | 'z1' | 'z2' | 'dL_dp1' | 'dL_dp2', Matrix> &
    Record<'D(p1,z2)' | 'D(p2,z1)' | 'L', number> &
    Record<'dL_dz1' | 'dL_dz2', null>;
  std: Record<string, number> & { z4x3: Matrix };
}

const file = new URL('../../../test/parity/simsiam.json', import.meta.url);
const fixture = JSON.parse(readFileSync(file, 'utf8')) as Fixture;
const tolerance = 1e-6; // f32, a handful of operations on numbers near 1

for (const backend of backends) {
  describe(`on ${backend}`, { skip: skipReason(backend) }, () => {
    before(async () => {
      await (backend === 'tensorflow' ? useTensorflow() : useWasm());
    });

    test("D and L are PyTorch's", () => {
      const { p1, p2, z1, z2 } = tensors();
      near(negativeCosine(p1, z2).dataSync()[0], fixture.loss['D(p1,z2)']);
      near(negativeCosine(p2, z1).dataSync()[0], fixture.loss['D(p2,z1)']);
      near(simSiamLoss(p1, p2, z1, z2).dataSync()[0], fixture.loss.L);
    });

    test("the gradients of p are PyTorch's, and z has none", () => {
      const { p1, p2, z1, z2 } = tensors();
      const loss = () => simSiamLoss(p1, p2, z1, z2);
      const { grads } = tf.engine().gradients(loss, [p1, p2, z1, z2], undefined, true);
      const [dp1, dp2, dz1, dz2] = grads;
      nearAll(dp1?.dataSync(), fixture.loss.dL_dp1);
      nearAll(dp2?.dataSync(), fixture.loss.dL_dp2);
      assert.equal(dz1 ?? null, fixture.loss.dL_dz1);
      assert.equal(dz2 ?? null, fixture.loss.dL_dz2);
    });

    test('without the stop-gradient z would have one', () => {
      const { p1, p2, z1, z2 } = tensors();
      const loss = () => simSiamLoss(p1, p2, z1, z2, (z) => z);
      const [dz1] = tf.engine().gradients(loss, [z1, z2], undefined, true).grads;
      assert.ok(dz1?.dataSync().some((value) => Math.abs(value) > 1e-3));
    });

    test('the collapse monitor is the unbiased standard deviation of z/‖z‖', () => {
      const std = (rows: Matrix) => outputStd(tf.tensor2d(rows)).dataSync()[0];
      near(std(fixture.std.z4x3), fixture.std['z4x3_unbiased']);
      near(std(Array.from({ length: 10 }, () => Array(10).fill(1))), fixture.std['ones10x10']);
      const eye = Array.from({ length: 10 }, (_, i) =>
        Array.from({ length: 10 }, (_, j) => (i === j ? 1 : 0)),
      );
      near(std(eye), fixture.std['eye10_unbiased(torch.std default)']);
    });
  });
}

function tensors(): Record<'p1' | 'p2' | 'z1' | 'z2', Tensor2D> {
  const { p1, p2, z1, z2 } = fixture.loss;
  return { p1: tf.tensor2d(p1), p2: tf.tensor2d(p2), z1: tf.tensor2d(z1), z2: tf.tensor2d(z2) };
}

function near(found: number | undefined, expected: number | undefined): void {
  assert.ok(
    Math.abs((found ?? Number.NaN) - (expected ?? Number.NaN)) < tolerance,
    `${found} for ${expected}`,
  );
}

function nearAll(found: ArrayLike<number> | undefined, expected: Matrix): void {
  const flat = expected.flat();
  assert.equal(found?.length, flat.length);
  for (const [i, value] of flat.entries()) near(found?.[i], value);
}
