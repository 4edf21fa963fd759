/**
 * The most operations a second that TensorFlow reaches here: large matrix products, side by side.
 *
 * A step's share of it says how much of the machine is used, whatever the machine. Two products that
 * need nothing of each other, because an operation has one thread and two run side by side
 * (NUMERICS 2).
 */
import { tf } from '../tfjs.ts';
import { defaultGraphFolder } from './graph-folder.ts';
import { record } from './recorder.ts';
import type { RecordOptions } from './recording.ts';
import { feed, openSession } from './session.ts';

/** Side of the matrices: 2·side³ operations each, megabytes of memory. */
const side = 2048;
const products = 2;
const attempts = 4;

/** Floating-point operations a second; TensorFlow must be this thread's backend. */
export function matrixPeak(
  precision: RecordOptions['precision'],
  graphFolder = defaultGraphFolder(),
): number {
  const names = Array.from({ length: 2 * products }, (_, i) => `matrix${i}`);
  const { graph, fetched } = record({ fused: true, cpu: false, precision }, (recording) => {
    const made = names.map((name) =>
      tf
        .engine()
        .makeTensorFromTensorInfo(
          recording.tensor(recording.graph.placeholder(name, 'float32', [side, side])),
        ),
    );
    const sums = Array.from({ length: products }, (_, i) =>
      tf.sum(tf.matMul(made[2 * i] as (typeof made)[0], made[2 * i + 1] as (typeof made)[0])),
    );
    return {
      graph: recording.graph,
      fetched: sums.map((sum) => recording.as(sum, 'float32')),
    };
  });
  const session = openSession(graph, fetched, graphFolder);
  const values = Float32Array.from({ length: side * side }, (_, i) => ((i * 7919) % 1000) / 1000);
  const fed = new Map(names.map((name) => [name, feed(values, [side, side], 'float32')]));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i <= attempts; i++) {
    const start = performance.now();
    for (const _ of session.run(fed));
    // The first run prepares.
    if (i > 0) best = Math.min(best, performance.now() - start);
  }
  session.close();
  for (const value of fed.values()) value.dispose();
  return (products * 2 * side * side * side) / (best / 1000);
}
