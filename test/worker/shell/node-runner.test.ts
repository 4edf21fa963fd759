/** One lease computed: its leaves in tree order, their reports, and how it ends early. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { payloadElements } from '../../../shared/core/architecture-types.ts';
import { initialStatistics, initialWeights } from '../../../shared/core/initialise.ts';
import { rootOf } from '../../../shared/core/tree.ts';
import { heldWeights } from '../../../shared/core/weight-memory.ts';
import type { LeafOutput } from '../../../shared/ports/compute.ts';
import type { LeaseTask } from '../../../worker/core/conversation-types.ts';
import { leafHash } from '../../../worker/shell/leaf-hash.ts';
import { type ImageOf, prepareLeaf } from '../../../worker/shell/leaf-input.ts';
import { type NodeWork, runNode } from '../../../worker/shell/node-runner.ts';
import { payloadPool } from '../../../worker/shell/payload-pool.ts';
import {
  type ExactCompute,
  type ExactComputeOptions,
  exactCompute,
} from '../../support/exact-compute.ts';
import {
  colouredImage,
  plainSum,
  tinyMethod,
  tinyModel,
  tinySamples,
} from '../../support/tiny-run.ts';

const samples = tinySamples(50);

const imageOf: ImageOf = async (sample) => {
  const image = colouredImage(sample);
  return { image, gray: false };
};

/** S leaves a step: the batch grows with it. */
const methodWith = (leaves: number) => ({ ...tinyMethod, batch: leaves * tinyMethod.microBatch });

async function workWith(
  leaves: number,
  options: ExactComputeOptions = {},
): Promise<NodeWork & { compute: ExactCompute }> {
  const method = methodWith(leaves);
  const compute = exactCompute(method, tinyModel, options);
  const [weights, statistics] = [initialWeights(tinyModel, 1), initialStatistics(tinyModel)];
  await compute.load(heldWeights(tinyModel, 'f32', weights, statistics));
  const payloads = payloadPool(payloadElements(tinyModel));
  const { signal } = new AbortController();
  return { method, samples, compute, imageOf, payloads, signal };
}

const task = (level: number, index: number, step = 2): LeaseTask => ({
  kind: 'lease',
  generation: 1,
  step,
  level,
  index,
  attempt: 1,
  weightsHash: '',
  gray: [],
});

const name = (node: { level: number; index: number }) => `${node.level}/${node.index}`;

/** What is reported of the leaves of a lease. */
const reportsOf = async (work: NodeWork, lease: LeaseTask) =>
  (await runNode(work, lease).nodes).flatMap(({ leaves }) => leaves);

/** Every leaf of a step on its own. */
async function leavesOfStep(
  count: number,
  step = 2,
): Promise<(LeafOutput & { inputHash: string })[]> {
  const { method, compute } = await workWith(count);
  const outputs = [];
  for (let leaf = 0; leaf < count; leaf += 1) {
    const { input, inputHash } = await prepareLeaf(method, samples, step, leaf, imageOf);
    outputs.push({ ...(await compute.leaf(input)), inputHash });
  }
  return outputs;
}

test("a node's payload is the tree sum of its leaves, for every node of every tree", async () => {
  for (const count of [1, 2, 3, 4, 5, 7]) {
    const alone = await leavesOfStep(count);
    const payload = (leaf: number) => (alone[leaf] as LeafOutput).payload;
    const { level: top } = rootOf(count);
    for (let level = 0; level <= top; level += 1)
      for (let index = 0; index * 2 ** level < count; index += 1) {
        const first = index * 2 ** level;
        const end = Math.min(count, first + 2 ** level);
        const [node, ...more] = await runNode(await workWith(count), task(level, index)).nodes;
        assert.ok(node && more.length === 0);
        assert.deepEqual(
          node.payload,
          plainSum(payload, first, end),
          `${level}/${index} of ${count}`,
        );
        assert.deepEqual(
          node.leaves.map(({ leaf }) => leaf),
          Array.from({ length: end - first }, (_, i) => first + i),
        );
      }
  }
});

test('a report holds the hashes of its leaf alone, whatever was summed with it', async () => {
  const alone = await leavesOfStep(4);
  const leaves = await reportsOf(await workWith(4), task(2, 0));
  for (const [i, report] of leaves.entries()) {
    const output = alone[i] as LeafOutput & { inputHash: string };
    assert.deepEqual(report, {
      leaf: i,
      inputHash: output.inputHash,
      leafHash: leafHash(output),
      loss: output.loss,
      std: output.std,
      nonFinite: false,
    });
  }
  assert.equal(new Set(leaves.map(({ leafHash: hash }) => hash)).size, 4);
});

test('a gradient, a loss or a std that is not finite flags its leaf and no other', async () => {
  const tampers: ((output: LeafOutput) => LeafOutput)[] = [
    (output) => ({ ...output, payload: output.payload.with(3, Number.NaN) }),
    (output) => ({ ...output, payload: output.payload.with(0, Number.POSITIVE_INFINITY) }),
    (output) => ({ ...output, payload: output.payload.with(-1, Number.NEGATIVE_INFINITY) }),
    (output) => ({ ...output, loss: Number.NaN }),
    (output) => ({ ...output, std: Number.POSITIVE_INFINITY }),
  ];
  for (const change of tampers) {
    const tamper = (output: LeafOutput, leaf: number) => (leaf === 2 ? change(output) : output);
    const leaves = await reportsOf(await workWith(4, { tamper }), task(2, 0));
    assert.deepEqual(
      leaves.map(({ nonFinite }) => nonFinite),
      [false, false, true, false],
    );
  }
});

test('finite numbers whose sum overflows are finite', async () => {
  const tamper = (output: LeafOutput) => ({
    ...output,
    payload: output.payload.map((_, i) => (i < 40 ? 3.4e38 : 0)),
  });
  const leaves = await reportsOf(await workWith(1, { tamper }), task(0, 0));
  assert.equal(leaves[0]?.nonFinite, false);
});

test('one bit of a leaf changes its hash', async () => {
  const [output] = await leavesOfStep(1);
  assert.ok(output);
  const base = leafHash(output);
  const payload = output.payload.slice();
  const bits = new Uint32Array(payload.buffer);
  bits[5] = (bits[5] as number) ^ 1;
  assert.notEqual(leafHash({ ...output, payload }), base);
  assert.notEqual(leafHash({ ...output, loss: output.loss + 2 ** -24 }), base);
  assert.notEqual(leafHash({ ...output, std: -output.std }), base);
});

test('an aborted lease gives back what is finished and computes no further leaf', async () => {
  const controller = new AbortController();
  const before = (leaf: number) => {
    if (leaf === 1) controller.abort(new Error('the coordinator began anew'));
  };
  const work = await workWith(4, { before });
  const running = runNode({ ...work, signal: controller.signal }, task(2, 0));
  const nodes = await running.nodes;
  assert.deepEqual(nodes.map(name), ['0/0'], 'what was finished is not lost');
  await running.idle;
  assert.equal(work.compute.leaves, 2, 'the one under way is the last');
});

test('a shortened lease comes as the fewest nodes that hold all that is finished', async () => {
  const alone = await leavesOfStep(8);
  const payload = (leaf: number) => (alone[leaf] as LeafOutput).payload;
  for (const [after, end, expected] of [
    [6, 7, ['2/0', '1/2', '0/6']],
    [2, 5, ['2/0', '0/4']],
    [4, 2, ['2/0']],
    [0, 1, ['0/0']],
  ] as const) {
    const work = await workWith(8);
    const onLeaf = (done: number) => {
      if (done === after) running.shorten(end);
    };
    const running = runNode({ ...work, onLeaf }, task(3, 0));
    if (after === 0) running.shorten(end);
    const nodes = await running.nodes;
    assert.deepEqual(nodes.map(name), expected, `shortened to ${end} after ${after}`);
    for (const node of nodes) {
      const first = node.index * 2 ** node.level;
      assert.deepEqual(node.payload, plainSum(payload, first, first + 2 ** node.level));
    }
    await running.idle;
    assert.ok(work.compute.leaves <= Math.max(after, end) + 1);
  }
});

test('a lease that is aborted before it begins computes nothing', async () => {
  const work = await workWith(2);
  const running = runNode({ ...work, signal: AbortSignal.abort() }, task(1, 0));
  assert.deepEqual(await running.nodes, []);
  await running.idle;
  assert.equal(work.compute.leaves, 0);
});

test('a sample that fails, in the first or a later leaf, fails the lease with its own error', async () => {
  for (const bad of [0, 1, 3]) {
    const work = await workWith(4);
    let asked = 0;
    const failing: ImageOf = (sample) => {
      asked += 1;
      return asked > 2 * bad ? Promise.reject(new Error(`no ${sample.path}`)) : imageOf(sample);
    };
    await assert.rejects(runNode({ ...work, imageOf: failing }, task(2, 0)).nodes, /no \d+\.png/);
    assert.ok(work.compute.leaves <= bad);
  }
});

test('a compute that fails fails the lease, and the input made ahead is heard of', async () => {
  const before = (leaf: number) => {
    if (leaf === 1) throw new Error('out of memory');
  };
  await assert.rejects(runNode(await workWith(4, { before }), task(2, 0)).nodes, /out of memory/);
});

test('while a leaf computes, the images of the next one are asked for', async () => {
  const order: string[] = [];
  const work = await workWith(2, {
    before: async (leaf) => {
      order.push(`leaf ${leaf} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`leaf ${leaf} ends`);
    },
  });
  let asked = 0;
  const noting: ImageOf = (sample) => {
    asked += 1;
    if (asked === 3) order.push('images of leaf 1');
    return imageOf(sample);
  };
  await runNode({ ...work, imageOf: noting }, task(1, 0)).nodes;
  assert.ok(order.indexOf('images of leaf 1') < order.indexOf('leaf 0 ends'), order.join());
});

test('while a leaf computes, the one before is reported; the last asks for the next step', async () => {
  const order: string[] = [];
  const work = await workWith(2, {
    before: async (leaf) => {
      order.push(`leaf ${leaf} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`leaf ${leaf} ends`);
    },
  });
  const asked: number[] = [];
  const noting: ImageOf = (sample) => {
    asked.push(sample.index);
    return imageOf(sample);
  };
  const onLeaf = (done: number) => order.push(`${done} reported`);
  await runNode({ ...work, imageOf: noting, onLeaf }, task(1, 0)).nodes;
  assert.deepEqual(order, [
    'leaf 0 begins',
    'leaf 0 ends',
    'leaf 1 begins',
    '1 reported',
    'leaf 1 ends',
    '2 reported',
  ]);
  const later: number[] = [];
  await prepareLeaf(work.method, samples, 3, 0, (sample) => {
    later.push(sample.index);
    return imageOf(sample);
  });
  assert.deepEqual(asked.slice(-later.length), later);
});
