/**
 * Computes one lease: its leaves one after the other, summed in tree order as they come.
 *
 * While a leaf computes, the input of the next one is made; at most one gradient a level of the
 * tree is kept. The finished node stays until its step is committed, for the coordinator to pull.
 */
import type { Method } from '../../shared/core/method.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { addInto, childrenOf, leavesOf, type NodeId } from '../../shared/core/tree.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import type { LeafReport, LeaseTask } from '../core/conversation.ts';
import { leafHash } from './leaf-hash.ts';
import { type ImageOf, type PreparedLeaf, prepareLeaf } from './leaf-input.ts';

export interface FinishedNode {
  payload: Float32Array;
  leaves: LeafReport[];
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
  signal: AbortSignal;
}

/** Rejects with the first failure of a leaf, or the signal's reason. */
export async function runNode(work: NodeWork, task: LeaseTask): Promise<FinishedNode> {
  const { method, samples, compute, imageOf, signal } = work;
  const count = method.batch / method.microBatch;
  const [first, end] = leavesOf(task, count);
  const prepare = (leaf: number) => prepareLeaf(method, samples, task.step, leaf, imageOf);
  const leaves: LeafReport[] = [];
  let ahead: Promise<PreparedLeaf> = prepare(first);

  async function leafPayload(leaf: number): Promise<Float32Array> {
    const { input, inputHash } = await ahead;
    signal.throwIfAborted();
    const computed = compute.leaf(input);
    if (leaf + 1 < end) {
      ahead = prepare(leaf + 1);
      // Heard of when it is awaited; meanwhile it must not count as unhandled.
      ahead.catch(() => undefined);
    }
    const output = await computed;
    signal.throwIfAborted();
    const { payload, loss, std } = output;
    leaves.push({
      leaf,
      inputHash,
      leafHash: leafHash(output),
      loss,
      std,
      nonFinite: !(Number.isFinite(loss) && Number.isFinite(std) && finite(payload)),
    });
    return payload;
  }

  async function nodePayload(node: NodeId): Promise<Float32Array> {
    if (node.level === 0) return leafPayload(node.index);
    const [left, right] = childrenOf(node, count);
    if (left === undefined) throw new Error('a node without children');
    const sum = await nodePayload(left);
    if (right !== undefined) addInto(sum, await nodePayload(right));
    return sum;
  }

  const payload = await nodePayload({ level: task.level, index: task.index });
  return { payload, leaves };
}
