/**
 * Computes one lease: its leaves one after the other, summed in tree order as they come.
 *
 * While a leaf computes, the result before it is hashed and the input of the next one made, or after
 * the last the images asked for that a step later would need; at most one sum a level of the tree is
 * kept. A lease that ends early gives the fewest nodes that cover what is finished (NUMERICS 4).
 * Finished nodes stay until their step is committed, for the coordinator to pull.
 */
import type { Method } from '../../shared/core/method.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { addInto, leavesOf, maximalNodes, type NodeId } from '../../shared/core/tree.ts';
import type { Compute, LeafOutput } from '../../shared/ports/compute.ts';
import type { LeafReport, LeaseTask, NodeReport } from '../core/conversation-types.ts';
import { leafHash } from './leaf-hash.ts';
import { askAhead, type ImageOf, type PreparedLeaf, prepareLeaf } from './leaf-input.ts';
import type { PayloadPool } from './payload-pool.ts';

export interface FinishedNode extends NodeReport {
  /** Sum of the gradients and moments of its leaves, in tree order. */
  payload: Float32Array;
}

const finite = (values: Float32Array): boolean => {
  // Four sums, because each addition waits for the one before it. f64 holds the sum of any payload
  // of finite f32 values.
  let [a, b, c, d] = [0, 0, 0, 0];
  const even = values.length - (values.length % 4);
  for (let i = 0; i < even; i += 4) {
    a += values[i] as number;
    b += values[i + 1] as number;
    c += values[i + 2] as number;
    d += values[i + 3] as number;
  }
  for (let i = even; i < values.length; i += 1) a += values[i] as number;
  return Number.isFinite(a + b + c + d);
};

export interface NodeWork {
  method: Method;
  samples: readonly Sample[];
  compute: Compute;
  imageOf: ImageOf;
  payloads: PayloadPool;
  /** Aborted: nothing more is begun, what is finished is given back. */
  signal: AbortSignal;
  /** Told after each leaf. */
  onLeaf?: (done: number) => void;
}

export interface RunningNode {
  /** The lease ends before this leaf. */
  shorten(end: number): void;
  /** The finished nodes, as soon as nothing more is wanted. Rejects with the failure of a leaf. */
  readonly nodes: Promise<FinishedNode[]>;
  /** The compute is free again: a leaf that nobody wants any more cannot be interrupted. */
  readonly idle: Promise<void>;
}

/** The sum of some consecutive leaves that make a node. */
interface Sum {
  first: number;
  end: number;
  payload: Float32Array;
}

/** An input in the making, and whether it is there. */
function made(input: Promise<PreparedLeaf>): { input: Promise<PreparedLeaf>; ready: boolean } {
  const ahead = { input, ready: false };
  // A failure is heard of when the input is awaited; until then it is not unhandled.
  input.then(
    () => {
      ahead.ready = true;
    },
    () => undefined,
  );
  return ahead;
}

export function runNode(work: NodeWork, task: LeaseTask): RunningNode {
  const { method, samples, compute, imageOf, payloads, signal } = work;
  const count = method.batch / method.microBatch;
  const [first, last] = leavesOf(task, count);
  const prepare = (leaf: number) => prepareLeaf(method, samples, task.step, leaf, imageOf);
  const reports: LeafReport[] = [];
  const sums: Sum[] = [];
  let end = last;
  let over = false;
  let settle: (nodes: FinishedNode[]) => void = () => undefined;
  let refuse: (error: unknown) => void = () => undefined;
  const nodes = new Promise<FinishedNode[]>((resolve, reject) => {
    settle = resolve;
    refuse = reject;
  });

  /** The result that came last: it is hashed and summed while the next leaf computes. */
  let fresh: { leaf: number; inputHash: string; output: LeafOutput } | null = null;

  function report(): void {
    if (fresh === null) return;
    const { leaf, inputHash, output } = fresh;
    const { payload, loss, std } = output;
    fresh = null;
    reports.push({
      leaf,
      inputHash,
      leafHash: leafHash(output),
      loss,
      std,
      nonFinite: !(Number.isFinite(loss) && Number.isFinite(std) && finite(payload)),
    });
    push(sums, { first: leaf, end: leaf + 1, payload }, count, payloads);
    work.onLeaf?.(reports.length);
  }

  /** Gives back what is finished, once nothing more is to come. */
  function endEarly(): void {
    if (!over) report();
    if (over || (!signal.aborted && first + reports.length < end)) return;
    over = true;
    signal.removeEventListener('abort', endEarly);
    settle(nodesOf(sums, reports, first, count));
  }

  async function run(): Promise<void> {
    let ahead = made(prepare(first));
    for (let leaf = first; leaf < end && !over; leaf += 1) {
      if (!ahead.ready) endEarly(); // the compute waits for images anyway
      const { input, inputHash } = await ahead.input;
      if (over || leaf >= end) break;
      const computed = compute.leaf(input, payloads.take());
      computed.catch(() => undefined); // heard of below
      if (leaf + 1 < end) ahead = made(prepare(leaf + 1));
      else askAhead(method, samples, task.step + 1, first, imageOf); // likely its next lease
      endEarly();
      const output = await computed;
      if (over) return payloads.give(output.payload);
      fresh = { leaf, inputHash, output };
    }
    endEarly();
  }

  signal.addEventListener('abort', endEarly);
  const idle = run().catch((error: unknown) => {
    over = true;
    signal.removeEventListener('abort', endEarly);
    refuse(error);
  });
  if (signal.aborted) endEarly();
  return {
    shorten(before) {
      end = Math.min(end, before);
      endEarly();
    },
    nodes,
    idle,
  };
}

/** True where leaves [first, end) are one node of the tree. */
const isOne = (first: number, end: number, count: number) =>
  maximalNodes(first, end, count).length === 1;

/** Adds a leaf; sums that are siblings become their parent. */
function push(sums: Sum[], sum: Sum, count: number, payloads: PayloadPool): void {
  sums.push(sum);
  for (;;) {
    const right = sums.at(-1);
    const left = sums.at(-2);
    if (left === undefined || right === undefined || !isOne(left.first, right.end, count)) return;
    addInto(left.payload, right.payload);
    left.end = right.end;
    sums.pop();
    payloads.give(right.payload);
  }
}

/** The sums as nodes, with their leaves' reports. */
function nodesOf(
  sums: readonly Sum[],
  reports: readonly LeafReport[],
  first: number,
  count: number,
): FinishedNode[] {
  return sums.map((sum) => {
    const [node] = maximalNodes(sum.first, sum.end, count) as [NodeId];
    const leaves = reports.slice(sum.first - first, sum.end - first);
    return { ...node, leaves, payload: sum.payload };
  });
}
