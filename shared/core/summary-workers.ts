/**
 * What the events say of each worker, and the timeline of who computed when.
 *
 * Part of the one fold (`summary.ts`). Everything is bounded: workers that left make room for new
 * ones, bars and marks of the timeline are the latest so many.
 */
import type { StepWork } from './events.ts';

export interface WorkerSummary {
  id: string;
  pid: number;
  host: string;
  device: string;
  /** `finished`: it was there when the run ended. */
  state: 'live' | 'left' | 'finished';
  /** ISO times; null where the events do not say. */
  joinedAt: string | null;
  leftAt: string | null;
  /** Why it left, as a sentence. */
  leftBecause: string | null;
  /** Micro-batches whose result was accepted, in this generation. */
  microBatches: number;
  /** Milliseconds of a micro-batch, smoothed over about ten steps. */
  microBatchMs: number | null;
  /** Micro-batches a step, smoothed; its part of all workers' sum is the worker's share. */
  microBatchesPerStep: number;
  /** Gradient bytes a second that it sent, smoothed. */
  bytesPerSecond: number | null;
  /** Micro-batches that were taken from it and given to another. */
  movedMicroBatches: number;
  /** The last step in which it finished something. */
  lastStep: number;
}

/** Who computed when in one step: the bars of the timeline. */
export interface TimelineStep {
  step: number;
  /** Milliseconds since 1970; the times of `work` count from here. */
  began: number;
  work: readonly StepWork[];
}

export type TimelineMarkKind = 'opened' | 'joined' | 'left' | 'moved' | 'rewound' | 'checkpoint';

/** Something that happened at one time. */
export interface TimelineMark {
  kind: TimelineMarkKind;
  at: number;
  /** The worker concerned, or ''. */
  worker: string;
  /** What happened, in words. */
  text: string;
}

export const workersMax = 1024;
const timelineStepsMax = 192;
const timelineRowsMax = 1536;
export const marksMax = 256;

/** A worker that has just joined. */
export function newWorker(
  told: Pick<WorkerSummary, 'id' | 'pid' | 'host' | 'device'>,
  joinedAt: string | null,
): WorkerSummary {
  return {
    ...told,
    state: 'live',
    joinedAt,
    leftAt: null,
    leftBecause: null,
    microBatches: 0,
    microBatchMs: null,
    microBatchesPerStep: 0,
    bytesPerSecond: null,
    movedMicroBatches: 0,
    lastStep: 0,
  };
}

/** The list with one worker new or changed; one that left goes where it is full. */
export function putWorker(
  workers: readonly WorkerSummary[],
  worker: WorkerSummary,
): readonly WorkerSummary[] {
  const at = workers.findIndex((known) => known.id === worker.id);
  if (at >= 0) return workers.with(at, worker);
  const next = [...workers, worker];
  if (next.length <= workersMax) return next;
  const oldest = next.findIndex((known) => known.state === 'left');
  return next.filter((_, index) => index !== Math.max(0, oldest));
}

const smooth = (old: number | null, found: number, share: number): number =>
  old === null ? found : (1 - share) * old + share * found;

/** The workers after a step in which these did that much; the others did nothing. */
export function workersAfterStep(
  workers: readonly WorkerSummary[],
  work: readonly StepWork[],
  step: number,
  stepMs: number,
): readonly WorkerSummary[] {
  if (work.length === 0) return workers;
  const done = new Map(work.map((row) => [row.worker, row]));
  return workers.map((worker) => {
    const row = done.get(worker.id);
    if (row === undefined) {
      if (worker.microBatchesPerStep === 0) return worker;
      return { ...worker, microBatchesPerStep: 0.8 * worker.microBatchesPerStep };
    }
    const { microBatches, busyMs, bytes } = row;
    const first = worker.microBatches === 0;
    const found = stepMs > 0 ? (1000 * bytes) / stepMs : null;
    return {
      ...worker,
      microBatches: worker.microBatches + microBatches,
      microBatchMs:
        microBatches > 0
          ? smooth(worker.microBatchMs, busyMs / microBatches, 0.2)
          : worker.microBatchMs,
      microBatchesPerStep: first
        ? microBatches
        : smooth(worker.microBatchesPerStep, microBatches, 0.2),
      bytesPerSecond: found === null ? null : smooth(worker.bytesPerSecond, found, 0.2),
      lastStep: step,
    };
  });
}

/** The workers when the run is over: who was there has finished. */
export function workersAtEnd(
  workers: readonly WorkerSummary[],
  at: string,
  because: string,
): readonly WorkerSummary[] {
  return workers.map((worker) =>
    worker.state === 'live'
      ? { ...worker, state: 'finished', leftAt: at, leftBecause: because }
      : worker,
  );
}

/** What a worker does, as far as the events tell. */
export type WorkerActivity = 'joined' | 'working' | 'idle' | 'finished' | 'left';

/** `working`: it finished something in the last step, or in the one before. */
export function workerActivity(worker: WorkerSummary, step: number): WorkerActivity {
  if (worker.state !== 'live') return worker.state;
  if (worker.lastStep === 0) return 'joined';
  return step - worker.lastStep <= 1 ? 'working' : 'idle';
}

/** Part of the micro-batches of recent steps that a worker did, in [0, 1]. */
export function shareOf(worker: WorkerSummary, workers: readonly WorkerSummary[]): number {
  const there = workers.filter(({ state }) => state !== 'left');
  const all = there.reduce((sum, { microBatchesPerStep }) => sum + microBatchesPerStep, 0);
  return worker.state !== 'left' && all > 0 ? worker.microBatchesPerStep / all : 0;
}

/** The timeline with one more step, cut to the latest that fit. */
export function withTimelineStep(
  timeline: readonly TimelineStep[],
  step: TimelineStep,
): readonly TimelineStep[] {
  let first = Math.max(0, timeline.length + 1 - timelineStepsMax);
  let rows = step.work.length;
  for (let i = timeline.length - 1; i >= first; i -= 1) {
    rows += timeline[i]?.work.length ?? 0;
    if (rows > timelineRowsMax) first = i + 1;
  }
  return [...timeline.slice(first), step];
}

/** The latest `most` of a list that grows; cut in stretches, so that growing stays cheap. */
export function latest<T>(list: readonly T[], more: readonly T[], most: number): readonly T[] {
  const next = [...list, ...more];
  return next.length > most ? next.slice(next.length - most) : next;
}
