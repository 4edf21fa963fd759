/** Reduce and update: the same bits whoever computed which node, and wherever it was interrupted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { arithmetic, inLine, type StartPerformer } from '../../../coordinator/shell/arithmetic.ts';
import { inThread } from '../../../coordinator/shell/arithmetic-thread.ts';
import { earlyWeights } from '../../../coordinator/shell/early-weights.ts';
import { initialCopy, modelState } from '../../../coordinator/shell/model-state.ts';
import {
  bucketCount,
  bucketSize,
  type NodeSource,
  type ReduceTask,
  reduceStep,
  WorkerGone,
} from '../../../coordinator/shell/reducer.ts';
import type { Reduced } from '../../../coordinator/shell/arithmetic-messages.ts';
import { sha256Of } from '../../../shared/adapters/fingerprint.ts';
import { payloadElements } from '../../../shared/core/architecture-types.ts';
import { childrenOf, leavesOf, type NodeId, rootOf } from '../../../shared/core/tree.ts';
import { bucketCredit, bucketElements } from '../../../shared/wire/limits.ts';
import { bytesOf } from '../../../shared/wire/tensors.ts';
import { drawsOf } from '../../support/draws.ts';
import { payloadOf, plainSum, threeBuckets, tinyModel } from '../../support/tiny-run.ts';

const rates = { base: 0.25, predictor: 0.5 };
const momentumFactor = 0.9;
const weightDecay = 0.01;
const f = Math.fround;

const payloads = new Map<string, Float32Array>();

/** A leaf's payload at step 0, made once. */
function leafOf(model: typeof tinyModel, leaf: number): Float32Array {
  const name = `${model.parameterCount}/${leaf}`;
  const known = payloads.get(name) ?? payloadOf(model, 0, leaf);
  payloads.set(name, known);
  return known;
}

/** A random antichain of nodes that covers all leaves, from left to right. */
function partition(node: NodeId, leaves: number, draw: () => number): NodeId[] {
  const children = childrenOf(node, leaves);
  if (children.length === 0 || (children.length === 2 && draw() < 0.4)) return [node];
  return children.flatMap((child) => partition(child, leaves, draw));
}

interface Watch {
  outstanding: number;
  outstandingMax: number;
  pulls: number;
}

const unwatched = (): Watch => ({ outstanding: 0, outstandingMax: 0, pulls: 0 });

/** In-memory workers: each node's payload is the plain sum of its leaves. */
function sourcesOf(
  nodes: NodeId[],
  leaves: number,
  {
    model,
    draw,
    watch = unwatched(),
    before,
  }: {
    model: typeof tinyModel;
    draw: () => number;
    watch?: Watch;
    /** Throws where the pull is to fail. */
    before?: (bucket: number, node: NodeId) => void;
  },
): NodeSource[] {
  return nodes.map((node, i) => {
    const [first, end] = leavesOf(node, leaves);
    const payload = plainSum((leaf) => leafOf(model, leaf), first, end);
    return {
      node,
      worker: `w${i}`,
      async pull(bucket, elements) {
        watch.pulls += 1;
        watch.outstanding += 1;
        watch.outstandingMax = Math.max(watch.outstandingMax, watch.outstanding);
        for (let wait = draw() * 3; wait > 0; wait -= 1) await turn();
        watch.outstanding -= 1;
        before?.(bucket, node);
        const start = bucket * bucketElements;
        // As from the wire: bytes that begin anywhere.
        const bytes = new Uint8Array(4 * elements + 1).subarray(1);
        bytes.set(bytesOf(payload.subarray(start, start + elements)));
        return bytes;
      },
    };
  });
}

function taskOf(
  model: typeof tinyModel,
  leaves: number,
  sources: NodeSource[],
  where: StartPerformer = inLine,
): ReduceTask {
  const state = modelState(model, initialCopy(model, 5), 0);
  state.current.momentum.set(payloadOf(model, 9, 9).subarray(0, model.parameterCount));
  const numbers = arithmetic(state, earlyWeights(), where);
  numbers.begin(0, { leaves, rates, momentumFactor, weightDecay });
  return {
    model: state,
    leaves,
    arithmetic: numbers,
    sources,
    progress: { step: 0, bucket: 0 },
    signal: new AbortController().signal,
  };
}

/** The step written out plainly, PyTorch's SGD in f32. */
function expectedOf(model: typeof tinyModel, leaves: number) {
  const { current } = taskOf(model, leaves, []).model;
  const mean = plainSum((leaf) => leafOf(model, leaf), 0, leaves).map((v) => f(v / leaves));
  const gradient = mean.subarray(0, model.parameterCount);
  const weights = new Float32Array(gradient.length);
  const momentum = new Float32Array(gradient.length);
  for (const { name, offset, length } of model.parameters) {
    const rate = f(name.startsWith('predictor.') ? rates.predictor : rates.base);
    for (let i = offset; i < offset + length; i += 1) {
      const w = current.weights[i] as number;
      const d = f((gradient[i] as number) + f(f(weightDecay) * w));
      momentum[i] = f(f(f(momentumFactor) * (current.momentum[i] as number)) + d);
      weights[i] = f(w - f(rate * (momentum[i] as number)));
    }
  }
  const half = model.statisticCount;
  const moments = mean.subarray(model.parameterCount);
  const statistics = current.statistics.map((r, i) => {
    const once = f(f(f(0.9) * r) + f(f(0.1) * (moments[i] as number)));
    return f(f(f(0.9) * once) + f(f(0.1) * (moments[half + i] as number)));
  });
  const hash = (values: Float32Array) => sha256Of(bytesOf(values));
  return {
    gradient: hash(gradient.slice()),
    weights: hash(weights),
    // In f32 the weights are sent as they are.
    sent: hash(weights),
    momentum: hash(momentum),
    statistics: hash(statistics),
  };
}

async function whole(task: ReduceTask): Promise<Reduced> {
  const reduced = await reduceStep(task);
  assert.ok(reduced !== null);
  return reduced;
}

test('random partitions give the bits of the plain recursive tree', async () => {
  for (const leaves of [1, 2, 3, 4, 5, 8, 12]) {
    const expected = expectedOf(tinyModel, leaves);
    for (let seed = 0; seed < 10; seed += 1) {
      const draw = drawsOf(seed);
      const nodes = partition(rootOf(leaves), leaves, draw);
      const task = taskOf(tinyModel, leaves, sourcesOf(nodes, leaves, { model: tinyModel, draw }));
      const reduced = await whole(task);
      assert.deepEqual(reduced, expected, `S ${leaves}, seed ${seed}`);
      assert.equal(sha256Of(bytesOf(task.model.next.weights)), expected.weights);
      assert.equal(sha256Of(bytesOf(task.model.next.statistics)), expected.statistics);
    }
  }
});

test('another order of the leaves would give other bits', () => {
  const leafPayload = (leaf: number) => payloadOf(tinyModel, 0, leaf);
  const tree = plainSum(leafPayload, 0, 5);
  const inLine = leafPayload(0);
  for (let leaf = 1; leaf < 5; leaf += 1)
    leafPayload(leaf).forEach((value, i) => {
      inLine[i] = f((inLine[i] as number) + value);
    });
  assert.notDeepEqual(tree, inLine);
});

test('a tampered bit of one leaf changes gradient, weights and momentum', async () => {
  const draw = drawsOf(1);
  const nodes = partition(rootOf(4), 4, () => 1);
  const sources = sourcesOf(nodes, 4, { model: tinyModel, draw });
  const [source] = sources as [NodeSource];
  const { pull } = source;
  source.pull = async (bucket, elements) => {
    const bytes = await pull(bucket, elements);
    // The top mantissa bit of element 7: low bits may be rounded away by the sum.
    bytes[4 * 7 + 2] = (bytes[4 * 7 + 2] as number) ^ 0x40;
    return bytes;
  };
  const reduced = await whole(taskOf(tinyModel, 4, sources));
  const expected = expectedOf(tinyModel, 4);
  assert.notEqual(reduced.gradient, expected.gradient);
  assert.notEqual(reduced.weights, expected.weights);
  assert.notEqual(reduced.momentum, expected.momentum);
  assert.equal(reduced.statistics, expected.statistics);
});

test('the predictor has its own constant rate, across a border of buckets too', async () => {
  const { parameters } = threeBuckets;
  const predictor = parameters[1];
  assert.ok(predictor && predictor.offset < bucketElements);
  assert.ok(predictor.offset + predictor.length > bucketElements, 'it lies across the border');
  const draw = drawsOf(2);
  const nodes = [rootOf(2)];
  const task = taskOf(threeBuckets, 2, sourcesOf(nodes, 2, { model: threeBuckets, draw }));
  assert.deepEqual(await whole(task), expectedOf(threeBuckets, 2));
});

test('buckets cover a payload exactly', () => {
  for (const model of [tinyModel, threeBuckets]) {
    const sizes = Array.from({ length: bucketCount(model) }, (_, b) => bucketSize(model, b));
    assert.equal(
      sizes.reduce((a, b) => a + b, 0),
      payloadElements(model),
    );
    assert.ok(sizes.every((size) => size > 0 && size <= bucketElements));
  }
  assert.equal(bucketCount(threeBuckets), 3);
});

test('interrupted at any bucket and resumed with other nodes, the bits are the same', async () => {
  const leaves = 5;
  const expected = expectedOf(threeBuckets, leaves);
  for (let at = 0; at < 3; at += 1) {
    const draw = drawsOf(10 + at);
    const broken = partition(rootOf(leaves), leaves, draw);
    const lost = broken[at % broken.length] as NodeId;
    const before = (bucket: number, node: NodeId) => {
      if (bucket === at && node === lost) throw new WorkerGone('w', 'killed', false);
    };
    const first = sourcesOf(broken, leaves, { model: threeBuckets, draw, before });
    const task = taskOf(threeBuckets, leaves, first);
    await assert.rejects(reduceStep(task), WorkerGone);
    assert.equal(task.progress.bucket, at, 'the buckets before are done and stay so');

    const watch = unwatched();
    const other = partition(rootOf(leaves), leaves, drawsOf(20 + at));
    task.sources = sourcesOf(other, leaves, { model: threeBuckets, draw, watch });
    assert.deepEqual(await whole(task), expected, `interrupted at bucket ${at}`);
    assert.equal(watch.pulls, (3 - at) * other.length, 'what was done is not pulled again');
  }
});

test('an aborted reduction ends without a result and can be taken up again', async () => {
  const leaves = 4;
  const nodes = partition(rootOf(leaves), leaves, () => 1);
  const controller = new AbortController();
  const before = (bucket: number) => {
    if (bucket === 1) controller.abort();
  };
  const draw = drawsOf(3);
  const task = taskOf(
    threeBuckets,
    leaves,
    sourcesOf(nodes, leaves, { model: threeBuckets, draw, before }),
  );
  task.signal = controller.signal;
  assert.equal(await reduceStep(task), null);
  assert.ok(task.progress.bucket <= 1);
  task.signal = new AbortController().signal;
  assert.deepEqual(await whole(task), expectedOf(threeBuckets, leaves));
});

test('a step that was reduced whole and is asked for again gives the same, without a pull', async () => {
  const draw = drawsOf(4);
  const watch = unwatched();
  const sources = sourcesOf([rootOf(3)], 3, { model: threeBuckets, draw, watch });
  const task = taskOf(threeBuckets, 3, sources);
  const once = await whole(task);
  const { pulls } = watch;
  assert.deepEqual(await whole(task), once);
  assert.equal(watch.pulls, pulls);
});

test('a worker that is gone, and one that is hostile, are named as such', async () => {
  for (const hostile of [false, true]) {
    const draw = drawsOf(5);
    const before = () => {
      throw new WorkerGone('w7', 'a reason', hostile);
    };
    const sources = sourcesOf([rootOf(2)], 2, { model: tinyModel, draw, before });
    await assert.rejects(reduceStep(taskOf(tinyModel, 2, sources)), (error: unknown) => {
      assert.ok(error instanceof WorkerGone);
      assert.deepEqual([error.worker, error.message, error.hostile], ['w7', 'a reason', hostile]);
      return true;
    });
  }
});

test('buckets asked for and not consumed stay within the credit, whatever the number of nodes', async () => {
  const leaves = 12;
  const watch = unwatched();
  const nodes = Array.from({ length: leaves }, (_, index) => ({ level: 0, index }));
  const draw = drawsOf(6);
  const task = taskOf(
    threeBuckets,
    leaves,
    sourcesOf(nodes, leaves, { model: threeBuckets, draw, watch }),
  );
  assert.deepEqual(await whole(task), expectedOf(threeBuckets, leaves));
  assert.equal(watch.pulls, 3 * leaves);
  assert.ok(watch.outstandingMax <= bucketCredit, `${watch.outstandingMax} outstanding`);
  assert.ok(watch.outstandingMax > bucketCredit / 2, 'the credit is used');
});

test('an infinite or wrong cover of the leaves is refused before anything is pulled', async () => {
  const watch = unwatched();
  const draw = drawsOf(7);
  const nodes = [{ level: 0, index: 0 }];
  const task = taskOf(tinyModel, 2, sourcesOf(nodes, 2, { model: tinyModel, draw, watch }));
  await assert.rejects(reduceStep(task), /must cover every leaf/);
  assert.equal(watch.pulls, 0);
});

test('the second copy is not written while somebody still reads it', async () => {
  const draw = drawsOf(8);
  const task = taskOf(tinyModel, 2, sourcesOf([rootOf(2)], 2, { model: tinyModel, draw }));
  let release = () => undefined as void;
  const reading = new Promise<void>((resolve) => {
    release = resolve;
  });
  task.model.readers.set(task.model.next, reading);
  const reducing = reduceStep(task);
  for (let i = 0; i < 20; i += 1) await turn();
  assert.ok(
    task.model.next.weights.every((value) => value === 0),
    'untouched so far',
  );
  release();
  assert.ok(await reducing);
  assert.ok(task.model.next.weights.some((value) => value !== 0));
});

test('in a thread of its own the bits are the same, interrupted or not, with more nodes than slots', async (t) => {
  const leaves = 70;
  const draw = drawsOf(9);
  const nodes = Array.from({ length: leaves }, (_, index) => ({ level: 0, index }));
  const lost = nodes[40];
  const before = (bucket: number, node: NodeId) => {
    if (bucket === 1 && node === lost) throw new WorkerGone('w', 'killed', false);
  };
  const sources = (breaks: boolean) =>
    sourcesOf(nodes, leaves, { model: threeBuckets, draw, ...(breaks ? { before } : {}) });
  const task = taskOf(threeBuckets, leaves, sources(true), inThread);
  t.after(() => task.arithmetic.close());
  await assert.rejects(reduceStep(task), WorkerGone);
  task.sources = sources(false);
  const expected = expectedOf(threeBuckets, leaves);
  assert.deepEqual(await whole(task), expected);
  assert.equal(sha256Of(bytesOf(task.model.next.weights)), expected.weights);
  assert.equal(sha256Of(bytesOf(task.model.next.statistics)), expected.statistics);
  task.arithmetic.begin(0, { leaves, rates, momentumFactor, weightDecay });
  task.progress = { step: 0, bucket: 0 };
  assert.deepEqual(await whole(task), expected, 'begun anew');
});

test('a step that is given up in the middle leaves nothing behind for the one made in its place', async (t) => {
  const draw = drawsOf(11);
  const controller = new AbortController();
  const before = (bucket: number, node: NodeId) => {
    if (bucket === 1 && node.index === 3) controller.abort();
  };
  const nodes = Array.from({ length: 5 }, (_, index) => ({ level: 0, index }));
  const sources = sourcesOf(nodes, 5, { model: threeBuckets, draw, before });
  const task = taskOf(threeBuckets, 5, sources, inThread);
  t.after(() => task.arithmetic.close());
  task.signal = controller.signal;
  const given = reduceStep(task);
  while (!controller.signal.aborted) await turn();
  task.arithmetic.begin(0, { leaves: 5, rates, momentumFactor, weightDecay });
  const again = {
    ...task,
    progress: { step: 0, bucket: 0 },
    signal: new AbortController().signal,
    sources: sourcesOf(nodes, 5, { model: threeBuckets, draw }),
  };
  assert.deepEqual(await whole(again), expectedOf(threeBuckets, 5));
  assert.equal(await given, null);
});

test('arithmetic that fails, in a thread or not, fails the step and all that follows', async (t) => {
  for (const where of [inLine, inThread]) {
    const task = taskOf(tinyModel, 2, [], where);
    t.after(() => task.arithmetic.close());
    await assert.rejects(async () => {
      task.arithmetic.add();
      await task.arithmetic.finish();
    }, /the reduce plan is not whole/);
    if (where === inThread)
      assert.throws(() => task.arithmetic.add(), /the reduce plan is not whole/);
  }
});
