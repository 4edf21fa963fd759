/**
 * Softmax cross-entropy: eager, recorded and fused, beside the formula in f64.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { useTensorflow } from '../../../worker/compute/backend-tensorflow.ts';
import { record } from '../../../worker/compute/compiled/recorder.ts';
import { openSession } from '../../../worker/compute/compiled/session.ts';
import { crossEntropy } from '../../../worker/compute/cross-entropy.ts';
import { type Tensor1D, type Tensor2D, tf } from '../../../worker/compute/tfjs.ts';
import { normals, skipReason } from './tiny.ts';

const rows = 7;
const classes = 5;
// Some rows far from 0: there an exponential would overflow without the shift.
const logits = normals(3, rows * classes, 3).map((value, i) => value + 100 * (i % rows));
const labels = Int32Array.from({ length: rows }, (_, i) => (3 * i) % classes);

/** Loss and gradient of the mean loss, in f64. */
function reference(): { loss: number; gradient: number[] } {
  let loss = 0;
  const gradient: number[] = [];
  for (let i = 0; i < rows; i++) {
    const row = [...logits.subarray(i * classes, (i + 1) * classes)];
    const largest = Math.max(...row);
    const powers = row.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, value) => total + value, 0);
    const label = labels[i] as number;
    loss += (Math.log(sum) + largest - (row[label] as number)) / rows;
    gradient.push(...powers.map((power, k) => (power / sum - (k === label ? 1 : 0)) / rows));
  }
  return { loss, gradient };
}

describe('softmax cross-entropy', { skip: skipReason('tensorflow') }, () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'graphs-'));
    await useTensorflow();
  });
  after(() => rmSync(folder, { recursive: true }));

  const program = (): [Tensor2D, Tensor2D] => {
    const at = tf.tensor2d(logits, [rows, classes]);
    const chosen = tf.tensor1d(labels, 'int32') as Tensor1D;
    const { value, grad } = tf.valueAndGrad((x: Tensor2D) => crossEntropy(x, chosen))(at);
    return [tf.reshape(value, [1, 1]), grad];
  };

  function recorded(fused: boolean): Float32Array[] {
    const { graph, fetched } = record({ fused, cpu: true, precision: 'f32' }, (recording) => ({
      graph: recording.graph,
      fetched: program().map((tensor) => recording.edge(tensor)),
    }));
    const session = openSession(graph, fetched, folder);
    const values = [...session.run(new Map())];
    session.close();
    return values;
  }

  const eager = (): Float32Array[] =>
    tf.tidy(() => {
      const values = program().map((tensor) => tensor.dataSync<'float32'>().slice());
      return values as unknown as Tensor2D[]; // tidy looks for tensors only
    }) as unknown as Float32Array[];

  function expectNear([loss, gradient]: Float32Array[]): void {
    const expected = reference();
    assert.ok(Math.abs((loss?.[0] ?? Number.NaN) - expected.loss) < 1e-5 * expected.loss);
    for (const [i, value] of expected.gradient.entries()) {
      const off = Math.abs((gradient?.[i] ?? Number.NaN) - value);
      assert.ok(off < 1e-6, `gradient[${i}]: off by ${off}`);
    }
  }

  test('eager, it is the formula', () => expectNear(eager()));

  test('recorded without fused kernels, it has the eager bits', () => {
    assert.deepEqual(recorded(false), eager());
  });

  test('fused, it is the formula', () => expectNear(recorded(true)));
});
