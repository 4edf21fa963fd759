/**
 * Run as `node probe.mjs ROOT`: loads tfjs on TensorFlow as a worker will, computes a product that
 * is known, and prints one line of JSON: { version, device }. Any failure is an exit status.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import util from 'node:util';

const root = process.argv[2] ?? '.';
// Removed in Node 23; tfjs 4.22 still calls it.
Object.assign(util, {
  isNullOrUndefined: (/** @type {unknown} */ value) => value === null || value === undefined,
});
const load = createRequire(join(root, 'package.json'));
const binding = load('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
const tf = load('@tensorflow/tfjs-node-gpu');
const product = tf.matMul(
  tf.tensor2d([
    [1, 2],
    [3, 4],
  ]),
  tf.tensor2d([
    [5, 6],
    [7, 8],
  ]),
);
const numbers = Array.from(product.dataSync()).join(' ');
if (numbers !== '19 22 43 50') throw new Error(`a matrix product came out as ${numbers}`);
const device = tf.backend().isUsingGpuDevice === true ? 'gpu' : 'cpu';
process.stdout.write(`${JSON.stringify({ version: binding.TF_Version, device })}\n`);
