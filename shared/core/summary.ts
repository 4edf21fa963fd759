/**
 * The summary of a run: one fold over its events, which every view draws.
 *
 * Terminal, JSON, dashboard and loss plot all show this value, so they cannot disagree. It is
 * bounded: histories are thinned, lists are cut. An event that was seen already (same or lower
 * `seq`) changes nothing, so a reader may fold overlapping refills.
 */
import type { RunEvent, StepPhases } from './events.ts';
import { type Goodput, goodputAfterStep, noGoodput, sumPhases } from './summary-goodput.ts';
import {
  latest,
  marksMax,
  newWorker,
  putWorker,
  type TimelineMark,
  type TimelineMarkKind,
  type TimelineStep,
  type WorkerSummary,
  withTimelineStep,
  workersAfterStep,
  workersAtEnd,
} from './summary-workers.ts';

export { type Goodput, goodputParts, phaseNames, sumPhases } from './summary-goodput.ts';
export {
  shareOf,
  type TimelineMark,
  type TimelineStep,
  type WorkerActivity,
  type WorkerSummary,
  workerActivity,
  workersMax,
} from './summary-workers.ts';

/** One step of the thinned history. */
export interface HistoryPoint {
  step: number;
  /** Epochs finished, a fraction. */
  epoch: number;
  loss: number;
  std: number;
  learningRate: number;
  /** Smoothed; null before it is known. */
  imagesPerSecond: number | null;
}

export interface KnnPoint extends KnnResult {
  step: number;
}

export interface KnnResult {
  accuracy: number;
  standardError: number;
  queries: number;
  references: number;
  /** std·√d of the features measured; null where the event does not say. */
  stdRatio: number | null;
}

export interface RunSummary {
  /** Highest `seq` folded; 0 before the first event. */
  seq: number;
  run: string;
  generation: number;
  state: 'opening' | 'training' | 'stopped' | 'done' | 'failed';
  model: string;
  /** `simsiam` or `supervised`. */
  objective: string;
  data: string;
  images: number;
  batch: number;
  microBatch: number;
  /** d, the width of z: std is healthy near 1/√d. */
  outputWidth: number;
  /** Steps committed. */
  step: number;
  totalSteps: number;
  stopAt: number | null;
  /** Epochs finished, a fraction. */
  epoch: number;
  loss: number | null;
  std: number | null;
  learningRate: number | null;
  /** Images a second, smoothed over about ten steps. */
  imagesPerSecond: number | null;
  /** Steps that the rate is made of, in this generation. */
  timedSteps: number;
  /** Seconds to the last step (or to stopAt) at this rate. */
  secondsLeft: number | null;
  /** One standard deviation of it, seconds; null until steps were timed. */
  secondsLeftSpread: number | null;
  /** Mean and variance of the seconds of a step, over about twenty. */
  stepSeconds: number | null;
  stepSecondsVariance: number;
  /** ISO times of the first event of this generation and of the last event. */
  openedAt: string | null;
  lastAt: string | null;
  liveWorkers: number;
  workers: readonly WorkerSummary[];
  /** Times that micro-batches were moved to another worker. */
  leasesMoved: number;
  /** Micro-batches that two workers had to agree on, and workers found to compute wrongly. */
  audited: number;
  convicted: number;
  checkpoint: { path: string; digest: string; step: number; bytes: number; at: string } | null;
  knnBefore: KnnResult | null;
  knnAfter: KnnResult | null;
  /** The latest ones, as sentences. */
  warnings: readonly { code: string; message: string }[];
  warningCount: number;
  /** False once devices of several classes computed in this run. */
  reproducible: boolean;
  result: {
    stopped: boolean;
    loss: number;
    std: number;
    digest: string;
    checkpoint: string;
  } | null;
  failure: { code: string; message: string } | null;
  /** One point every `lossStride` steps, ascending. */
  lossHistory: readonly HistoryPoint[];
  lossStride: number;
  /** Measures by step, ascending; where they are many, every second of them goes. */
  knnHistory: readonly KnnPoint[];
  /** Phases of the last step, milliseconds; null where its event has none. */
  phasesMs: StepPhases | null;
  goodput: Goodput;
  /** Who computed when, of the latest steps; what happened in between. Oldest first. */
  timeline: readonly TimelineStep[];
  marks: readonly TimelineMark[];
  /** The latest events but those of steps, oldest first. */
  recent: readonly RunEvent[];
}

export const lossHistoryMax = 512;
export const recentMax = 100;
const warningsMax = 20;
const knnHistoryMax = 256;

export const emptySummary: RunSummary = {
  seq: 0,
  run: '',
  generation: 0,
  state: 'opening',
  model: '',
  objective: 'simsiam',
  data: '',
  images: 0,
  batch: 0,
  microBatch: 0,
  outputWidth: 0,
  step: 0,
  totalSteps: 0,
  stopAt: null,
  epoch: 0,
  loss: null,
  std: null,
  learningRate: null,
  imagesPerSecond: null,
  timedSteps: 0,
  secondsLeft: null,
  secondsLeftSpread: null,
  stepSeconds: null,
  stepSecondsVariance: 0,
  openedAt: null,
  lastAt: null,
  liveWorkers: 0,
  workers: [],
  leasesMoved: 0,
  audited: 0,
  convicted: 0,
  checkpoint: null,
  knnBefore: null,
  knnAfter: null,
  warnings: [],
  warningCount: 0,
  reproducible: true,
  result: null,
  failure: null,
  lossHistory: [],
  lossStride: 1,
  knnHistory: [],
  phasesMs: null,
  goodput: noGoodput,
  timeline: [],
  marks: [],
  recent: [],
};

/** The step at which this life of the run ends. */
export function goalOf(summary: RunSummary): number {
  return summary.stopAt === null
    ? summary.totalSteps
    : Math.min(summary.stopAt, summary.totalSteps);
}

/** std·√d: 1 for channels as spread as a random direction's, 0 when all images map to one point. */
export function stdRatio(std: number, outputWidth: number): number {
  return std * Math.sqrt(outputWidth);
}

function withPoint(summary: RunSummary, point: HistoryPoint): Partial<RunSummary> {
  // The first step is always kept; after it, those on the stride.
  const due = (step: number, stride: number): boolean => step === 1 || step % stride === 0;
  let { lossHistory, lossStride } = summary;
  if ((lossHistory.at(-1)?.step ?? 0) >= point.step) {
    lossHistory = lossHistory.filter((kept) => kept.step < point.step);
  }
  if (!due(point.step, lossStride)) return { lossHistory };
  lossHistory = [...lossHistory, point];
  while (lossHistory.length > lossHistoryMax) {
    lossStride *= 2;
    const stride = lossStride;
    lossHistory = lossHistory.filter((kept) => due(kept.step, stride));
  }
  return { lossHistory, lossStride };
}

/** Rate by a mean of seconds a step; the first step compiles and counts only until there is another. */
function withRate(summary: RunSummary, found: number): Partial<RunSummary> {
  if (!(found > 0)) return {};
  const timedSteps = summary.timedSteps + 1;
  const { imagesPerSecond } = summary;
  if (imagesPerSecond === null || timedSteps <= 2) return { timedSteps, imagesPerSecond: found };
  const share = Math.max(0.1, 1 / (timedSteps - 1));
  const secondsPerImage = (1 - share) / imagesPerSecond + share / found;
  return { timedSteps, imagesPerSecond: 1 / secondsPerImage };
}

/** Mean and variance of a step's seconds; the first step of a life compiles and does not count. */
function withStepTime(summary: RunSummary, found: number): Partial<RunSummary> {
  if (!(found > 0) || summary.timedSteps < 1) return {};
  const { stepSeconds: mean, stepSecondsVariance } = summary;
  if (mean === null) return { stepSeconds: found, stepSecondsVariance: 0 };
  const share = Math.max(0.05, 1 / (summary.timedSteps + 1));
  const off = found - mean;
  return {
    stepSeconds: mean + share * off,
    stepSecondsVariance: (1 - share) * (stepSecondsVariance + share * off * off),
  };
}

/** A step measured again (after a rewind) counts once; the first and the newest always stay. */
function withMeasure(history: readonly KnnPoint[], point: KnnPoint): readonly KnnPoint[] {
  const next = [...history.filter(({ step }) => step < point.step), point];
  if (next.length <= knnHistoryMax) return next;
  return next.filter((_, i) => i % 2 === 0 || i === next.length - 1);
}

function timeLeft(summary: RunSummary): Partial<RunSummary> {
  const { imagesPerSecond, batch, timedSteps, stepSecondsVariance: variance } = summary;
  const steps = Math.max(0, goalOf(summary) - summary.step);
  const known = imagesPerSecond !== null && summary.state === 'training';
  if (!known) return { secondsLeft: null, secondsLeftSpread: null };
  // Each step to come differs from the mean, and the mean itself is known from a few steps only.
  const counted = Math.max(1, Math.min(20, timedSteps));
  const spread = Math.sqrt(variance * (steps + (steps * steps) / counted));
  return {
    secondsLeft: (steps * batch) / imagesPerSecond,
    secondsLeftSpread: timedSteps > 2 ? spread : null,
  };
}

function withWorker(summary: RunSummary, worker: WorkerSummary): Partial<RunSummary> {
  const workers = putWorker(summary.workers, worker);
  return { workers, liveWorkers: workers.filter((known) => known.state === 'live').length };
}

function withMark(
  summary: RunSummary,
  kind: TimelineMarkKind,
  event: RunEvent,
  worker: string,
  text: string,
): Partial<RunSummary> {
  const mark: TimelineMark = { kind, at: Date.parse(event.time), worker, text };
  return { marks: latest(summary.marks, [mark], marksMax) };
}

type Committed = Extract<RunEvent, { kind: 'step-committed' }>;

function withStep(summary: RunSummary, event: Committed): Partial<RunSummary> {
  const { step, epoch, loss, std, learningRate, phasesMs, work = [] } = event;
  // A commit that only the ledger told of knows neither its rate nor its workers.
  const liveWorkers = event.workers > 0 ? event.workers : summary.liveWorkers;
  const stepMs = phasesMs === undefined ? 0 : sumPhases(phasesMs);
  const began = Date.parse(event.time) - stepMs;
  const rate = withRate(summary, event.imagesPerSecond);
  const imagesPerSecond = rate.imagesPerSecond ?? summary.imagesPerSecond;
  return {
    ...{ step, epoch, loss, std, learningRate, liveWorkers, state: 'training' },
    ...rate,
    ...withStepTime(summary, event.imagesPerSecond > 0 ? summary.batch / event.imagesPerSecond : 0),
    ...withPoint(summary, { step, epoch, loss, std, learningRate, imagesPerSecond }),
    workers: workersAfterStep(summary.workers, work, step, stepMs),
    timeline:
      work.length > 0
        ? withTimelineStep(summary.timeline, { step, began, work })
        : summary.timeline,
    audited: summary.audited + (event.audited ?? 0),
    phasesMs: phasesMs ?? null,
    goodput: goodputAfterStep(summary.goodput, step, phasesMs),
  };
}

function apply(summary: RunSummary, event: RunEvent): Partial<RunSummary> {
  switch (event.kind) {
    case 'run-opened': {
      const { run, generation, model, data, images, batch, microBatch, outputWidth } = event;
      const { totalSteps, stopAt } = event;
      return {
        objective: event.objective ?? 'simsiam',
        ...{ run, generation, model, data, images, batch, microBatch, outputWidth },
        ...{ totalSteps, stopAt, state: 'training', openedAt: event.time, result: null },
        ...{ failure: null, workers: [], liveWorkers: 0, imagesPerSecond: null, timedSteps: 0 },
        ...{ stepSeconds: null, stepSecondsVariance: 0 },
        ...withMark(summary, 'opened', event, '', `life ${generation} of the coordinator begins`),
        ...(generation > 1 ? withDownTime(summary, event) : {}),
      };
    }
    case 'worker-joined': {
      const { worker: id, pid, host, device } = event;
      const joined = newWorker({ id, pid, host, device }, event.time);
      return {
        ...withWorker(summary, joined),
        ...withMark(summary, 'joined', event, id, `${id} joined`),
      };
    }
    case 'worker-left': {
      const known = summary.workers.find((worker) => worker.id === event.worker);
      if (known === undefined) return {};
      const [leftAt, leftBecause] = [event.time, event.because];
      return {
        ...withWorker(summary, { ...known, state: 'left', leftAt, leftBecause }),
        ...withMark(summary, 'left', event, known.id, `${known.id} left: ${leftBecause}`),
      };
    }
    case 'worker-refused':
      return withWarning(summary, event.code, `worker ${event.worker} refused: ${event.message}`);
    case 'lease-moved':
      return withMoved(summary, event);
    case 'worker-convicted':
      return {
        convicted: summary.convicted + 1,
        ...withMark(summary, 'left', event, event.worker, `${event.worker} computed wrongly`),
      };
    case 'sample-undecodable':
      return withWarning(summary, 'sample-undecodable', `${event.path} cannot be decoded: gray`);
    case 'step-committed':
      return withStep(summary, event);
    case 'checkpoint-saved': {
      const { checkpoint: path, digest, step, bytes } = event;
      return {
        checkpoint: { path, digest, step, bytes, at: event.time },
        ...withMark(summary, 'checkpoint', event, '', `checkpoint of step ${step}`),
      };
    }
    case 'rewound':
      return {
        step: event.to,
        lossHistory: summary.lossHistory.filter((kept) => kept.step <= event.to),
        ...withMark(
          summary,
          'rewound',
          event,
          '',
          `rewound from step ${event.from} to ${event.to}`,
        ),
      };
    case 'knn-measured': {
      const { accuracy, standardError, queries, references, step } = event;
      const stdRatio = event.stdRatio ?? null;
      const result = { accuracy, standardError, queries, references, stdRatio };
      const knnHistory = withMeasure(summary.knnHistory, { step, ...result });
      return step === 0 ? { knnBefore: result, knnHistory } : { knnAfter: result, knnHistory };
    }
    case 'warning':
      return withWarning(summary, event.code, event.message);
    case 'run-failed': {
      const failure = { code: event.code, message: event.message };
      return { state: 'failed', failure, ...withEnd(summary, event) };
    }
    case 'run-done': {
      const { stopped, loss, std, digest, checkpoint } = event;
      const result = { stopped, loss, std, digest, checkpoint };
      return { state: stopped ? 'stopped' : 'done', loss, std, result, ...withEnd(summary, event) };
    }
    default:
      // An event of a later version: it is counted, and shown by nobody.
      return {};
  }
}

function withMoved(
  summary: RunSummary,
  event: Extract<RunEvent, { kind: 'lease-moved' }>,
): Partial<RunSummary> {
  const { from, count } = event;
  const { goodput } = summary;
  const known = summary.workers.find((worker) => worker.id === from);
  const movedMicroBatches = (known?.movedMicroBatches ?? 0) + count;
  const text = `${count} micro-batch${count === 1 ? '' : 'es'} taken from ${from}`;
  return {
    leasesMoved: summary.leasesMoved + 1,
    goodput: { ...goodput, movedMicroBatches: goodput.movedMicroBatches + count },
    ...(known ? withWorker(summary, { ...known, movedMicroBatches }) : {}),
    ...withMark(summary, 'moved', event, from, text),
  };
}

function withEnd(summary: RunSummary, event: RunEvent): Partial<RunSummary> {
  return {
    workers: workersAtEnd(summary.workers, event.time, event.because),
    liveWorkers: 0,
  };
}

/** A life began: what lay between it and the last event of the one before was nobody's. */
function withDownTime(summary: RunSummary, event: RunEvent): Partial<RunSummary> {
  const before = summary.lastAt === null ? Number.NaN : Date.parse(summary.lastAt);
  const gap = Date.parse(event.time) - before;
  if (!(gap > 0)) return {};
  return { goodput: { ...summary.goodput, downMs: summary.goodput.downMs + gap } };
}

function withWarning(summary: RunSummary, code: string, message: string): Partial<RunSummary> {
  const warnings = [...summary.warnings, { code, message }].slice(-warningsMax);
  const reproducible = summary.reproducible && code !== 'not-reproducible';
  return { warnings, warningCount: summary.warningCount + 1, reproducible };
}

/** The latest events that are worth a line, and how long it all took. */
function withTime(summary: RunSummary, event: RunEvent): Partial<RunSummary> {
  const since = summary.goodput.since ?? event.time;
  const totalMs = Math.max(
    summary.goodput.totalMs,
    Date.parse(event.time) - Date.parse(since) || 0,
  );
  const step = event.kind === 'step-committed';
  return {
    goodput: { ...summary.goodput, since, totalMs },
    recent: step ? summary.recent : latest(summary.recent, [event], recentMax),
  };
}

/** The summary after one more event; the same value where the event was folded before. */
export function fold(summary: RunSummary, event: RunEvent): RunSummary {
  if (event.seq <= summary.seq) return summary;
  const next = { ...summary, ...apply(summary, event) };
  next.seq = event.seq;
  next.lastAt = event.time;
  return Object.assign(next, withTime(next, event), timeLeft(next));
}
