/**
 * A compute in its own thread: the same numbers, an unblocked loop, errors that arrive.
 *
 * On the backend that this machine has; TensorFlow only loads in one thread of a process, so this
 * file loads it in the thread and the direct comparison uses wasm.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure } from '../../../shared/core/failures.ts';
import type { Backend } from '../../../shared/core/method.ts';
import { createCompute } from '../../../worker/compute/compute.ts';
import { threadedCompute } from '../../../worker/compute/threaded-compute.ts';
import {
  leafInput,
  method,
  plan,
  skipReason,
  tinyArchitecture as architecture,
  lively,
} from './tiny.ts';

const options = { backend: 'wasm' as Backend, method, architecture, plan };

test('a thread computes the bits that the caller would', async () => {
  const [direct, threaded] = [await createCompute(options), await threadedCompute(options)];
  for (const compute of [direct, threaded]) await compute.load(lively());
  assert.deepEqual(threaded.describe(), direct.describe());
  const input = leafInput();
  assert.deepEqual(await threaded.leaf(input), await direct.leaf(input));
  const { pixels, view1 } = input;
  assert.deepEqual(await threaded.view(pixels, view1), await direct.view(pixels, view1));
  assert.deepEqual(await threaded.features(pixels, view1), await direct.features(pixels, view1));
  assert.ok(input.pixels.length > 0, 'the caller keeps what it passed');
  await threaded.close();
  await direct.close();
});

test('weights are free again once others are loaded', async () => {
  const compute = await threadedCompute(options);
  const [first, second] = [lively(architecture, 1), lively(architecture, 2)];
  await compute.load(first);
  const expected = await compute.leaf(leafInput());
  await compute.load(second);
  const other = await compute.leaf(leafInput());
  assert.notEqual(other.loss, expected.loss);
  first.fill(0);
  assert.deepEqual(await compute.leaf(leafInput()), other);
  await compute.close();
});

test('calls answer in order and the loop keeps ticking', async () => {
  const compute = await threadedCompute(options);
  await compute.load(lively());
  let ticks = 0;
  const timer = setInterval(() => ticks++, 2);
  const losses = await Promise.all([1, 2, 1, 2].map((seed) => compute.leaf(leafInput(seed))));
  clearInterval(timer);
  assert.equal(losses[0]?.loss, losses[2]?.loss);
  assert.equal(losses[1]?.loss, losses[3]?.loss);
  assert.notEqual(losses[0]?.loss, losses[1]?.loss);
  assert.ok(ticks > 3, `${ticks} ticks`);
  await compute.close();
});

test('an error in the thread arrives as a failure, and the thread lives on', async () => {
  const compute = await threadedCompute(options);
  await assert.rejects(compute.leaf(leafInput()), /before a leaf/);
  await assert.rejects(compute.load(new Uint8Array(3)), (error) => {
    return (
      error instanceof Failure && error.code === 'internal' && /another model/.test(error.message)
    );
  });
  await compute.load(lively());
  const broken = { ...leafInput(), pixels: new Uint8Array(5) };
  await assert.rejects(compute.leaf(broken), (error) => {
    return error instanceof Failure && error.code === 'compute-failed';
  });
  assert.ok(Number.isFinite((await compute.leaf(leafInput())).loss));
  await compute.close();
});

test('a closed thread rejects what is asked of it, and what it still owed', async () => {
  const compute = await threadedCompute(options);
  await compute.load(lively());
  const closing = compute.close();
  const owed = assert.rejects(compute.leaf(leafInput()), { code: 'compute-failed' });
  await closing;
  await owed;
  await assert.rejects(compute.leaf(leafInput()), { code: 'compute-failed' });
  await compute.close();
});

test('TensorFlow runs in the thread', { skip: skipReason('tensorflow') }, async () => {
  const compute = await threadedCompute({ ...options, backend: 'tensorflow' });
  const { backend, device, version, intraOpThreads } = compute.describe();
  assert.equal(backend, 'tensorflow');
  assert.match(device, /^[CG]PU$/);
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.equal(intraOpThreads, 1);
  await compute.load(lively());
  const first = await compute.leaf(leafInput());
  assert.deepEqual(await compute.leaf(leafInput()), first);
  await compute.close();
});
