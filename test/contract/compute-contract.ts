/**
 * What every implementation of the compute port must do, as one suite: compiled, eager, wasm.
 *
 * Which of them run here and why one does not is said in one place, `implementations`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ViewInput } from '../../shared/core/view.ts';
import type { Compute, LeafOutput } from '../../shared/ports/compute.ts';
import { type ComputeOptions, createCompute } from '../../worker/compute/compute.ts';
import { tf } from '../../worker/compute/tfjs.ts';
import {
  tinyArchitecture as architecture,
  leafInput,
  method,
  microBatch,
  plan,
  size,
  skipReason,
  lively,
} from '../worker/compute/tiny.ts';

export interface Implementation {
  name: string;
  options: Pick<ComputeOptions, 'backend' | 'mode' | 'fused'>;
  /** Why it cannot run here, or false. */
  skip: string | false;
}

export const implementations: readonly Implementation[] = [
  {
    name: 'compiled TensorFlow',
    options: { backend: 'tensorflow', mode: 'compiled' },
    skip: skipReason('tensorflow'),
  },
  {
    name: 'compiled TensorFlow without fused kernels',
    options: { backend: 'tensorflow', mode: 'compiled', fused: false },
    skip: skipReason('tensorflow'),
  },
  {
    name: 'eager TensorFlow',
    options: { backend: 'tensorflow', mode: 'eager' },
    skip: skipReason('tensorflow'),
  },
  { name: 'wasm', options: { backend: 'wasm', mode: 'eager' }, skip: skipReason('wasm') },
];

export function computeOf({ options }: Implementation): Promise<Compute> {
  return createCompute({ ...options, method, architecture, plan });
}

export function computeContract(implementation: Implementation): void {
  describe(implementation.name, { skip: implementation.skip }, () => {
    let compute: Compute;
    before(async () => {
      compute = await computeOf(implementation);
    });
    after(() => compute.close());

    test('a leaf before the weights is refused', async () => {
      await assert.rejects(compute.leaf(leafInput()), /weights to be loaded/);
    });

    test('it says what it is', () => {
      const { backend, mode } = compute.describe();
      assert.equal(backend, implementation.options.backend);
      assert.equal(mode, implementation.options.mode);
    });

    test('the same leaf has the same bits, whatever came between', async () => {
      await compute.load(lively());
      const first = await compute.leaf(leafInput(1));
      await compute.leaf(leafInput(2));
      await compute.features(leafInput(3).pixels, leafInput(3).view1);
      await compute.load(lively(architecture, 5));
      await compute.leaf(leafInput(1));
      await compute.load(lively());
      assert.equal(bitsOf(await compute.leaf(leafInput(1))), bitsOf(first));
    });

    test('a leaf may be overwritten at once, weights once others are loaded', async () => {
      const [before, now] = [lively(architecture, 5), lively()];
      await compute.load(before);
      await compute.load(now);
      before.fill(7);
      const input = leafInput(4);
      const first = await compute.leaf(input);
      const bits = bitsOf(first);
      input.pixels.fill(7);
      input.view1.rows.fill(0.1);
      assert.equal(bitsOf(first), bits);
      assert.equal(bitsOf(await compute.leaf(leafInput(4))), bits);
    });

    test('a payload given for the result is filled, whatever was in it', async () => {
      const bits = bitsOf(await compute.leaf(leafInput(4)));
      const { parameterCount, statisticCount } = architecture;
      const elements = parameterCount + 2 * statisticCount;
      const into = new Float32Array(new SharedArrayBuffer(4 * elements)).fill(Number.NaN);
      const { payload, ...rest } = await compute.leaf(leafInput(4), into);
      assert.equal(payload.buffer, into.buffer);
      assert.equal(bitsOf({ payload: into, ...rest }), bits);
      const short = new Float32Array(new SharedArrayBuffer(4 * (elements - 1)));
      await assert.rejects(compute.leaf(leafInput(4), short), /elements of a payload/);
    });

    test('the payload owns its memory: gradient and moments, and nothing else', async () => {
      const { payload } = await compute.leaf(leafInput());
      const { parameterCount, statisticCount } = architecture;
      assert.equal(payload.length, parameterCount + 2 * statisticCount);
      assert.equal(payload.byteLength, payload.buffer.byteLength);
    });

    test('a view that is not blurred, and views of which one is', async () => {
      const input = leafInput(6);
      const plain = { ...input.view2, blur: null };
      const blurred = await compute.leaf(input);
      const half = await compute.leaf({ ...input, view2: plain });
      const none = await compute.leaf({
        ...input,
        view1: { ...input.view1, blur: null },
        view2: plain,
      });
      assert.equal(new Set([blurred.loss, half.loss, none.loss]).size, 3);
    });

    test('features take any number of images, and each is as it was among others', async () => {
      const { pixels, view1 } = leafInput(8);
      const all = await compute.features(pixels, view1);
      for (let n = 1; n <= microBatch; n++) {
        const some = await compute.features(...first(n, pixels, view1));
        assert.equal(some.length, n * architecture.featureWidth);
        // Inference gives the same row at any batch size but for the sums of a matrix product.
        for (const [i, value] of some.entries()) {
          assert.ok(Math.abs(value - (all[i] ?? 0)) < 1e-5, `row of ${i} among ${n}`);
        }
      }
    });

    test('moments are those of the backbone in a training leaf, 0 for the heads', async () => {
      await compute.load(lively());
      const input = leafInput(9);
      const moments = await compute.moments(input.pixels, input.view1);
      const { payload } = await compute.leaf(input);
      const { parameterCount, statisticCount, statistics } = architecture;
      assert.equal(moments.length, statisticCount);
      for (const { name, offset, length } of statistics) {
        for (let i = offset; i < offset + length; i++) {
          const expected = name.startsWith('encoder.') ? (payload[parameterCount + i] ?? 0) : 0;
          const apart = Math.abs((moments[i] ?? Number.NaN) - expected);
          assert.ok(apart <= 1e-5 * Math.max(1, Math.abs(expected)), `${name}: ${apart}`);
        }
      }
    });

    test('a view is made without weights', async () => {
      const fresh = await computeOf(implementation);
      const { pixels, view1 } = leafInput();
      const view = await fresh.view(pixels, view1);
      assert.equal(view.length, microBatch * size * size * 3);
      assert.ok(view.every((value) => value >= 0 && value <= 1));
      await fresh.close();
    });

    test('leaves leave no tensor behind, and closing frees the rest', async () => {
      const fresh = await computeOf(implementation);
      const before = tf.memory().numTensors;
      await fresh.load(lively());
      await fresh.leaf(leafInput());
      const held = tf.memory().numTensors;
      for (let step = 0; step < 3; step++) {
        await fresh.leaf(leafInput(step));
        await fresh.features(leafInput().pixels, leafInput().view1);
        await fresh.moments(leafInput().pixels, leafInput().view1);
        assert.equal(tf.memory().numTensors, held);
      }
      await fresh.close();
      assert.equal(tf.memory().numTensors, before);
    });
  });
}

export function bitsOf({ payload, loss, std }: LeafOutput): string {
  const words = new Uint32Array(Float32Array.from([loss, std, ...payload]).buffer);
  return words.join();
}

/** The first n images and their views. */
function first(n: number, pixels: Uint8Array, view: ViewInput): [Uint8Array, ViewInput] {
  const share = <T extends Float32Array | Uint8Array>(values: T): T =>
    values.slice(0, (values.length / microBatch) * n) as T;
  const { rows, columns, colour, blur } = view;
  return [
    share(pixels),
    {
      rows: share(rows),
      columns: share(columns),
      colour: share(colour),
      blur: blur && { rows: share(blur.rows), columns: share(blur.columns) },
    },
  ];
}
