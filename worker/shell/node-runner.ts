/**
 * Computes one lease: its leaves one after the other, summed in tree order as they come.
 *
 * While a leaf computes, the input of the next one is made; at most one sum a level of the tree is
 * kept. A lease that ends early gives the fewest nodes that cover what is finished (NUMERICS 4).
 * Finished nodes stay until their step is committed, for the coordinator to pull.
 */
import type { Method } from '../../shared/core/method.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { addInto, leavesOf, maximalNodes, type NodeId } from '../../shared/core/tree.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import type { LeafReport, LeaseTask, NodeReport } from '../core/conversation-types.ts';
import { leafHash } from './leaf-hash.ts';
import { type ImageOf, type PreparedLeaf, prepareLeaf } from './leaf-input.ts';

export interface FinishedNode extends NodeReport {
  /** Sum of the gradients and moments of its leaves, in tree order. */
  payload: Float32Array;
}

const finite = (values: Float32Array): boolean => {
  // A sum of finite values can overflow, so this only says "look closer".
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += values[i] as number;
  return Number.isFinite(sum) || values.every(Number.isFinite);
};

export interface NodeWork {
  method: Method;
  samples: readonly Sample[];
  compute: Compute;
  imageOf: ImageOf;
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

export function runNode(work: NodeWork, task: LeaseTask): RunningNode {
  const { method, samples, compute, imageOf, signal } = work;
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

  /** Gives back what is finished, once nothing more is to come. */
  function endEarly(): void {
    if (over || (!signal.aborted && first + reports.length < end)) return;
    over = true;
    signal.removeEventListener('abort', endEarly);
    settle(nodesOf(sums, reports, first, count));
  }

  async function computeLeaf(leaf: number, ahead: Promise<PreparedLeaf>): Promise<void> {
    const { input, inputHash } = await ahead;
    if (over) return;
    const output = await compute.leaf(input);
    if (over) return;
    const { payload, loss, std } = output;
    reports.push({
      leaf,
      inputHash,
      leafHash: leafHash(output),
      loss,
      std,
      nonFinite: !(Number.isFinite(loss) && Number.isFinite(std) && finite(payload)),
    });
    push(sums, { first: leaf, end: leaf + 1, payload }, count);
    work.onLeaf?.(reports.length);
  }

  async function run(): Promise<void> {
    let ahead = prepare(first);
    for (let leaf = first; leaf < end && !over; leaf += 1) {
      const now = ahead;
      const computed = computeLeaf(leaf, now);
      // Made while this leaf computes. Heard of when it is awaited; until then not unhandled.
      if (leaf + 1 < end) {
        ahead = now.then(() => prepare(leaf + 1));
        ahead.catch(() => undefined);
      }
      await computed;
      endEarly();
    }
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
function push(sums: Sum[], sum: Sum, count: number): void {
  sums.push(sum);
  for (;;) {
    const right = sums.at(-1);
    const left = sums.at(-2);
    if (left === undefined || right === undefined || !isOne(left.first, right.end, count)) return;
    addInto(left.payload, right.payload);
    left.end = right.end;
    sums.pop();
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
