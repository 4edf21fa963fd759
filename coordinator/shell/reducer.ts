/**
 * Reduce and update, bucket by bucket: pulls the finished nodes of a step from the workers that
 * hold them, in the order in which `step-arithmetic.ts` sums them, divides by S, and writes the
 * updated weights into the second copy of the state.
 *
 * Wishes go out in the order in which they are consumed, with a fixed credit and a slot each, so memory
 * does not depend on the number of workers. A bucket that is done stays done when a worker is lost: whoever
 * computes its leaves again computes the same bits, and the pull goes on behind it.
 */
import { type Architecture, payloadElements } from '../../shared/core/architecture-types.ts';
import { type NodeId, reducePlan } from '../../shared/core/tree.ts';
import { bucketCredit, bucketElements } from '../../shared/wire/limits.ts';
import { copyFloats } from '../../shared/wire/tensors.ts';
import type { Arithmetic, Slot } from './arithmetic.ts';
import { type ModelState, nextIsFree } from './model-state.ts';
import type { Reduced } from './arithmetic-messages.ts';

/** Where the gradient of a finished node can be pulled. */
export interface NodeSource {
  node: NodeId;
  worker: string;
  /** One bucket, exactly `elements` long. Rejects with `WorkerGone` or `HostileWorker`. */
  pull(bucket: number, elements: number): Promise<Uint8Array>;
}

/** The worker's stream ended before the bucket came. */
export class WorkerGone extends Error {
  readonly worker: string;
  /** True where what it sent cannot be a gradient of this model. */
  readonly hostile: boolean;
  constructor(worker: string, reason: string, hostile: boolean) {
    super(reason);
    this.worker = worker;
    this.hostile = hostile;
  }
}

/** How far the reduction of one step has come; kept while a lost node is computed again. */
export interface ReduceProgress {
  step: number;
  /** Buckets before it are handed to the arithmetic. */
  bucket: number;
}

export interface ReduceTask {
  model: ModelState;
  arithmetic: Arithmetic;
  /** S */
  leaves: number;
  /** In tree order. */
  sources: NodeSource[];
  progress: ReduceProgress;
  signal: AbortSignal;
}

export const bucketCount = (a: Architecture): number =>
  Math.ceil(payloadElements(a) / bucketElements);

/** Elements of a bucket. */
export const bucketSize = (a: Architecture, bucket: number): number =>
  Math.min(bucketElements, payloadElements(a) - bucket * bucketElements);

/** Runs until the whole step is reduced; null where the signal aborted. Rejects: `WorkerGone`. */
export async function reduceStep(task: ReduceTask): Promise<Reduced | null> {
  const { model, arithmetic, progress, signal } = task;
  const { architecture } = model;
  const plan = reducePlan(
    task.sources.map((source) => source.node),
    task.leaves,
  );
  await nextIsFree(model);
  if (signal.aborted) return null;
  // A try before this one may have left a part of a bucket.
  arithmetic.clear();
  const wishes = wishesFrom(task);
  const ahead: Arriving[] = [];
  let wish = wishes.next();
  const refill = () => {
    while (!wish.done && ahead.length < bucketCredit) {
      const slot = arithmetic.take();
      if (slot === null) return;
      ahead.push(arriving(wish.value, slot, architecture));
      wish = wishes.next();
    }
  };
  /** The bucket that is due; null where the signal aborted. */
  async function due(): Promise<Arriving | null> {
    for (refill(); ahead.length === 0; refill()) {
      if (wish.done) throw new Error('the reduce plan asks for more than was wished');
      await arithmetic.freed();
      if (signal.aborted) return null;
    }
    const [next] = ahead as [Arriving];
    await next.arrived;
    if (signal.aborted) return null;
    ahead.shift();
    return next;
  }
  try {
    for (; progress.bucket < bucketCount(architecture); progress.bucket += 1) {
      for (const step of plan) {
        if (step.kind === 'add') {
          arithmetic.add();
          continue;
        }
        const next = await due();
        if (next === null) return null;
        arithmetic.push(next.slot, next.elements);
      }
      arithmetic.apply(progress.bucket);
    }
  } finally {
    // What still comes is written to its slot, so nobody else may have that before.
    for (const { slot, arrived } of ahead) {
      const give = () => arithmetic.give(slot);
      arrived.then(give, give);
    }
  }
  const reduced = await arithmetic.finish();
  return signal.aborted ? null : reduced;
}

/** A bucket on its way into its slot. */
interface Arriving {
  slot: Slot;
  elements: number;
  arrived: Promise<void>;
}

function arriving({ bucket, source }: Wish, slot: Slot, architecture: Architecture): Arriving {
  const elements = bucketSize(architecture, bucket);
  const arrived = source.pull(bucket, elements).then((bytes) => copyFloats(bytes, slot.values, 0));
  // Whoever awaits it later hears of it; meanwhile it must not count as unhandled.
  arrived.catch(() => undefined);
  return { slot, elements, arrived };
}

interface Wish {
  bucket: number;
  source: NodeSource;
}

/** Every (bucket, node) still to be pulled, in the order in which it is consumed. */
function* wishesFrom(task: ReduceTask): Generator<Wish, undefined> {
  const count = bucketCount(task.model.architecture);
  for (let bucket = task.progress.bucket; bucket < count; bucket += 1)
    for (const source of task.sources) yield { bucket, source };
}
