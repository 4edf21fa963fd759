/**
 * Reduce and update, bucket by bucket: pulls the finished nodes of a step from the workers that
 * hold them, sums them in tree order, divides by S, and writes the updated weights into the second
 * copy of the state.
 *
 * Wishes go out in the order in which they are consumed, with a fixed credit, so memory does not
 * depend on the number of workers. A bucket that is done stays done when a worker is lost: whoever
 * computes its leaves again computes the same bits, and the pull goes on behind it.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Architecture, TensorSpec } from '../../shared/core/architecture-types.ts';
import type { LearningRates } from '../../shared/core/schedule.ts';
import { addInto, type NodeId, reducePlan, scaleRoot } from '../../shared/core/tree.ts';
import { sgdStep, updateStatistics } from '../../shared/core/update.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import { bucketCredit, bucketElements } from '../../shared/wire/limits.ts';
import { bytesOf, copyFloats } from '../../shared/wire/tensors.ts';
import type { EarlyWeights } from './early-weights.ts';
import { type ModelState, nextIsFree, type StateHashes } from './model-state.ts';

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
  bucket: number;
  gradient: Hash;
  weights: Hash;
  momentum: Hash;
  /** Moments of both views, divided by S. */
  moments: Float32Array;
}

export interface Reduced extends StateHashes {
  gradient: string;
}

export interface ReduceTask {
  model: ModelState;
  /** S */
  leaves: number;
  rates: LearningRates;
  momentumFactor: number;
  weightDecay: number;
  /** In tree order. */
  sources: NodeSource[];
  progress: ReduceProgress;
  /** Hears how far the new weights are made. */
  early: EarlyWeights;
  signal: AbortSignal;
}

export function beginReduce(model: ModelState, step: number): ReduceProgress {
  return {
    step,
    bucket: 0,
    gradient: createHash('sha256'),
    weights: createHash('sha256'),
    momentum: createHash('sha256'),
    moments: new Float32Array(2 * model.architecture.statisticCount),
  };
}

/** Elements of a leaf's payload: gradient, then moments of view 1 and of view 2. */
export const payloadElements = (a: Architecture): number => a.parameterCount + 2 * a.statisticCount;

export const bucketCount = (a: Architecture): number =>
  Math.ceil(payloadElements(a) / bucketElements);

/** Elements of a bucket. */
export const bucketSize = (a: Architecture, bucket: number): number =>
  Math.min(bucketElements, payloadElements(a) - bucket * bucketElements);

/** Runs until the whole step is reduced; null where the signal aborted. Rejects: `WorkerGone`. */
export async function reduceStep(task: ReduceTask): Promise<Reduced | null> {
  const { model, progress, signal } = task;
  const { architecture } = model;
  await nextIsFree(model);
  const sums = new BucketSums(task);
  const wishes = wishesFrom(task);
  const ahead: Promise<Uint8Array>[] = [];
  const refill = () => {
    while (ahead.length < bucketCredit) {
      const wish = wishes.next();
      if (wish.done) return;
      const bytes = wish.value.source.pull(
        wish.value.bucket,
        bucketSize(architecture, wish.value.bucket),
      );
      // Whoever awaits it later hears of it; meanwhile it must not count as unhandled.
      bytes.catch(() => undefined);
      ahead.push(bytes);
    }
  };
  for (; progress.bucket < bucketCount(architecture); progress.bucket += 1) {
    for (const step of sums.plan) {
      if (step.kind === 'add') {
        sums.add();
        continue;
      }
      refill();
      const bytes = await ahead.shift();
      if (signal.aborted) return null;
      if (bytes === undefined) throw new Error('the reduce plan asks for more than was wished');
      sums.push(bytes, bucketSize(architecture, progress.bucket));
    }
    const root = sums.root(bucketSize(architecture, progress.bucket));
    scaleRoot(root, task.leaves);
    applyBucket(task, root);
    sums.clear();
  }
  const half = architecture.statisticCount;
  updateStatistics({
    statistics: model.current.statistics,
    view1: progress.moments.subarray(0, half),
    view2: progress.moments.subarray(half),
    next: model.next.statistics,
  });
  task.early.whole();
  return {
    // Copies: a worker lost between the last bucket and the seal has all this asked for again.
    gradient: progress.gradient.copy().digest('hex'),
    weights: progress.weights.copy().digest('hex'),
    momentum: progress.momentum.copy().digest('hex'),
    statistics: sha256Of(bytesOf(model.next.statistics)),
  };
}

/** Every (bucket, node) still to be pulled, in the order in which it is consumed. */
function* wishesFrom(task: ReduceTask): Generator<{ bucket: number; source: NodeSource }> {
  const count = bucketCount(task.model.architecture);
  for (let bucket = task.progress.bucket; bucket < count; bucket += 1)
    for (const source of task.sources) yield { bucket, source };
}

/** The stack on which one bucket is summed; its buffers serve every bucket of the step. */
class BucketSums {
  readonly plan;
  private readonly pool: Float32Array[] = [];
  private readonly stack: Float32Array[] = [];

  constructor(task: ReduceTask) {
    this.plan = reducePlan(
      task.sources.map((source) => source.node),
      task.leaves,
    );
  }

  push(bytes: Uint8Array, elements: number): void {
    const buffer = this.pool.pop() ?? new Float32Array(bucketElements);
    copyFloats(bytes, buffer, 0);
    this.stack.push(buffer.subarray(0, elements));
  }

  add(): void {
    const right = this.stack.pop();
    const left = this.stack.at(-1);
    if (right === undefined || left === undefined) throw new Error('the reduce plan is not whole');
    addInto(left, right);
    this.free(right);
  }

  root(elements: number): Float32Array {
    const root = this.stack[0];
    if (this.stack.length !== 1 || root?.length !== elements)
      throw new Error('the reduce plan does not end in one root');
    return root;
  }

  clear(): void {
    for (const buffer of this.stack.splice(0)) this.free(buffer);
  }

  private free(buffer: Float32Array): void {
    this.pool.push(new Float32Array(buffer.buffer));
  }
}

/** Updates the parameters of one bucket and keeps its moments. */
function applyBucket(task: ReduceTask, root: Float32Array): void {
  const { model, progress } = task;
  const { parameterCount } = model.architecture;
  const first = progress.bucket * bucketElements;
  const end = Math.min(first + root.length, parameterCount);
  for (const { from, to, rate } of rateSegments(task)) {
    const start = Math.max(first, from);
    const stop = Math.min(end, to);
    if (start >= stop) continue;
    sgdStep({
      weights: model.current.weights.subarray(start, stop),
      momentum: model.current.momentum.subarray(start, stop),
      gradient: root.subarray(start - first, stop - first),
      nextWeights: model.next.weights.subarray(start, stop),
      nextMomentum: model.next.momentum.subarray(start, stop),
      start: 0,
      end: stop - start,
      rate,
      momentumFactor: task.momentumFactor,
      weightDecay: task.weightDecay,
    });
  }
  if (first < end) {
    task.early.made(end);
    progress.gradient.update(bytesOf(root.subarray(0, end - first)));
    progress.weights.update(bytesOf(model.next.weights.subarray(first, end)));
    progress.momentum.update(bytesOf(model.next.momentum.subarray(first, end)));
  }
  const momentsFrom = Math.max(first, parameterCount);
  if (momentsFrom < first + root.length)
    progress.moments.set(root.subarray(momentsFrom - first), momentsFrom - parameterCount);
}

/** Ranges of parameters with one learning rate: the predictor's is constant (SimSiam, 4.2). */
function rateSegments(task: ReduceTask): { from: number; to: number; rate: number }[] {
  const { parameters, parameterCount } = task.model.architecture;
  const predictor = parameters.filter((p: TensorSpec) => p.name.startsWith('predictor.'));
  const from = predictor[0]?.offset ?? parameterCount;
  const last = predictor.at(-1);
  const to = last ? last.offset + last.length : parameterCount;
  const { base } = task.rates;
  return [
    { from: 0, to: from, rate: base },
    { from, to, rate: task.rates.predictor },
    { from: to, to: parameterCount, rate: base },
  ];
}
