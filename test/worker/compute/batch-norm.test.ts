/**
 * Batch normalisation and its written-out gradient against plain f64 loops.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { useTensorflow } from '../../../worker/compute/backend-tensorflow.ts';
import { useWasm } from '../../../worker/compute/backend-wasm.ts';
import { batchNorm, epsilon, normalise } from '../../../worker/compute/batch-norm.ts';
import { type Tensor, type Tensor1D, type Tensor4D, tf } from '../../../worker/compute/tfjs.ts';
import { backends, normals, skipReason } from './tiny.ts';

const shape: [number, number, number, number] = [3, 2, 2, 5];
const channels = 5;
const count = 12;
// Means far from 0 beside small deviations, where one-pass variances lose their digits.
const values = normals(1, 60).map((v, i) => v * (0.5 + (i % channels)) + 10 * (i % channels));
const slopes = normals(2, 60);
const gammas = normals(3, channels).map((v) => v + 1);
const betas = normals(4, channels);

for (const backend of backends) {
  describe(`on ${backend}`, { skip: skipReason(backend) }, () => {
    before(async () => {
      await (backend === 'tensorflow' ? useTensorflow() : useWasm());
    });

    for (const affine of [true, false]) {
      test(`forward and backward are the textbook's, affine: ${affine}`, () => {
        const x = tf.tensor4d(values.slice(), shape);
        const gamma = affine ? tf.tensor1d(gammas.slice()) : null;
        const beta = affine ? tf.tensor1d(betas.slice()) : null;
        const { y, mean, variance } = normalise(x, gamma, beta);
        const expected = reference(affine);
        nearAll(y, expected.y);
        nearAll(mean, expected.mean);
        nearAll(variance, expected.unbiased);

        const inputs: Tensor[] = gamma && beta ? [x, gamma, beta] : [x];
        const loss = () => tf.sum(tf.mul(normalise(x, gamma, beta).y, tf.tensor4d(slopes, shape)));
        const { grads } = tf.valueAndGrads(loss as () => Tensor)(inputs);
        nearAll(grads[0], expected.dx);
        if (affine) {
          nearAll(grads[1], expected.dgamma);
          nearAll(grads[2], expected.dbeta);
        }
      });
    }

    test('inference uses the running statistics and records nothing', () => {
      const x = tf.tensor4d(values.slice(), shape);
      const mean = normals(5, channels);
      const variance = normals(6, channels).map((v) => v * v + 0.1);
      const named = (entries: Record<string, Float32Array>) =>
        new Map<string, Tensor1D>(
          Object.entries(entries).map(([k, v]) => [k, tf.tensor1d(v.slice())]),
        );
      const y = batchNorm(
        {
          parameters: named({ 'n.weight': gammas, 'n.bias': betas }),
          mode: {
            kind: 'inference',
            statistics: named({ 'n.running_mean': mean, 'n.running_var': variance }),
          },
        },
        'n',
        x,
      );
      const at = (vector: Float32Array, i: number) => vector[i % channels] ?? Number.NaN;
      const expected = Array.from(values, (v, i) => {
        const unit = (v - at(mean, i)) / Math.sqrt(at(variance, i) + epsilon);
        return unit * at(gammas, i) + at(betas, i);
      });
      nearAll(y, expected);
    });
  });
}

function reference(affine: boolean) {
  const y = new Float64Array(values.length);
  const dx = new Float64Array(values.length);
  const vector = () => new Float64Array(channels);
  const [mean, unbiased, dgamma, dbeta] = [vector(), vector(), vector(), vector()];
  for (let c = 0; c < channels; c++) {
    const rows = Array.from({ length: count }, (_, i) => i * channels + c);
    const x = rows.map((i) => values[i] ?? 0);
    const dy = rows.map((i) => slopes[i] ?? 0);
    const average = x.reduce((sum, v) => sum + v, 0) / count;
    const squares = x.reduce((sum, v) => sum + (v - average) ** 2, 0);
    const deviation = Math.sqrt(squares / count + epsilon);
    const unit = x.map((v) => (v - average) / deviation);
    const gamma = affine ? (gammas[c] ?? 0) : 1;
    const beta = affine ? (betas[c] ?? 0) : 0;
    mean[c] = average;
    unbiased[c] = squares / (count - 1);
    dbeta[c] = dy.reduce((sum, d) => sum + d, 0);
    dgamma[c] = dy.reduce((sum, d, k) => sum + d * (unit[k] ?? 0), 0);
    for (const [k, i] of rows.entries()) {
      y[i] = (unit[k] ?? 0) * gamma + beta;
      const share = (dbeta[c] ?? 0) / count + ((unit[k] ?? 0) * (dgamma[c] ?? 0)) / count;
      dx[i] = (gamma / deviation) * ((dy[k] ?? 0) - share);
    }
  }
  return { y, dx, mean, unbiased, dgamma, dbeta };
}

function nearAll(found: Tensor | Tensor4D | undefined, expected: ArrayLike<number>): void {
  const values = found?.dataSync() ?? [];
  assert.equal(values.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [values[i] ?? Number.NaN, expected[i] ?? Number.NaN];
    assert.ok(Math.abs(a - b) < 2e-5 * Math.max(1, Math.abs(b)), `[${i}]: ${a} for ${b}`);
  }
}
