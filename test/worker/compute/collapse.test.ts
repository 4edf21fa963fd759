/**
 * The paper's figure 2, in small: without the stop-gradient the loss falls to −1 while the outputs
 * collapse to a constant; with it they do not.
 *
 * The encoder is a small MLP with batch norm in its hidden layer only (the paper's table 3, "hidden
 * only"). With the norm on the output too, a constant is out of reach of a batch this small: its
 * outputs sum to zero, so a tiny network would rather learn the few images by heart.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { useTensorflow } from '../../../worker/compute/backend-tensorflow.ts';
import { useWasm } from '../../../worker/compute/backend-wasm.ts';
import { batchNorm } from '../../../worker/compute/batch-norm.ts';
import { predictor } from '../../../worker/compute/heads.ts';
import { outputStd, simSiamLoss, stopGradient } from '../../../worker/compute/loss.ts';
import { type Moments, type Network, tensorOf } from '../../../worker/compute/network.ts';
import { relu } from '../../../worker/compute/resnet.ts';
import { type Tensor, type Tensor2D, type Tensor4D, tf } from '../../../worker/compute/tfjs.ts';
import { backends, normals, skipReason } from './tiny.ts';

const [images, inputs, hidden, d, bottleneck] = [64, 12, 32, 16, 8];
const steps = 250;
const learningRate = 2;
const healthy = 1 / Math.sqrt(d);

for (const backend of backends) {
  describe(`on ${backend}`, { skip: skipReason(backend) }, () => {
    before(async () => {
      await (backend === 'tensorflow' ? useTensorflow() : useWasm());
    });

    test('without stop-gradient the loss goes to −1 and the std to 0', () => {
      const { loss, std } = train((z) => z);
      assert.ok(loss < -0.99, `loss ${loss}`);
      assert.ok(std < 0.1 * healthy, `std ${std}, healthy ${healthy}`);
    });

    test('with stop-gradient the std stays healthy', () => {
      const { loss, std } = train(stopGradient);
      assert.ok(loss < -0.5, `it learns: loss ${loss}`);
      assert.ok(std > 0.5 * healthy, `std ${std}, healthy ${healthy}`);
    });
  });
}

/** Gradient descent on new noisy views of the same points each step; the last loss and std. */
function train(target: (z: Tensor2D) => Tensor2D): { loss: number; std: number } {
  const points = normals(1, images * inputs);
  const shapes: Record<string, number[]> = {
    'encoder.0.weight': [inputs, hidden],
    'encoder.1.weight': [hidden],
    'encoder.1.bias': [hidden],
    'encoder.3.weight': [hidden, d],
    'encoder.3.bias': [d],
    'predictor.0.weight': [d, bottleneck],
    'predictor.1.weight': [bottleneck],
    'predictor.1.bias': [bottleneck],
    'predictor.3.weight': [bottleneck, d],
    'predictor.3.bias': [d],
  };
  let parameters = new Map<string, Tensor>(
    Object.entries(shapes).map(([name, shape], i) => [name, firstValues(name, shape, i)]),
  );
  const last = { loss: 0, std: 0 };
  for (let step = 0; step < steps; step++) {
    const now = parameters;
    const next = new Map<string, Tensor>();
    tf.tidy(() => {
      const moments: Moments = new Map();
      const network: Network = { parameters: now, mode: { kind: 'training', moments } };
      const viewOf = (seed: number): Tensor2D => {
        const noise = normals(seed, points.length, 0.5);
        return tf.tensor2d(
          noise.map((value, i) => value + (points[i] ?? 0)),
          [images, inputs],
        );
      };
      const views = [viewOf(1000 + 2 * step), viewOf(1001 + 2 * step)] as const;
      const differentiate = tf.valueAndGrads(() => {
        const [z1, z2] = [encoder(network, views[0]), encoder(network, views[1])];
        last.std = outputStd(z1).dataSync<'float32'>()[0] ?? Number.NaN;
        return simSiamLoss(predictor(network, z1), predictor(network, z2), z1, z2, target);
      });
      const { value, grads } = differentiate([...now.values()]);
      last.loss = value.dataSync<'float32'>()[0] ?? Number.NaN;
      for (const tensor of moments.values()) tensor.dispose();
      for (const [i, [name, tensor]] of [...now].entries()) {
        const gradient = grads[i];
        assert.ok(gradient);
        next.set(name, tf.keep(tf.sub(tensor, tf.mul(gradient, learningRate))));
      }
    });
    for (const tensor of now.values()) tensor.dispose();
    parameters = next;
  }
  return last;
}

/** x [n, inputs] → z [n, d] */
function encoder(network: Network, x: Tensor2D): Tensor2D {
  const { parameters } = network;
  let y: Tensor2D = tf.matMul(x, tensorOf<Tensor2D>(parameters, 'encoder.0.weight'));
  y = tf.reshape(
    batchNorm(network, 'encoder.1', tf.reshape(y, [images, 1, 1, hidden]) as Tensor4D),
    [images, hidden],
  );
  y = tf.matMul(relu(y), tensorOf<Tensor2D>(parameters, 'encoder.3.weight'));
  return tf.add(y, tensorOf(parameters, 'encoder.3.bias'));
}

function firstValues(name: string, shape: number[], seed: number): Tensor {
  const [rows = 1, columns] = shape;
  if (columns === undefined) return tf.fill(shape, name.endsWith('.1.weight') ? 1 : 0);
  return tf.tensor(normals(10 + seed, rows * columns, 1 / Math.sqrt(rows)), shape);
}
