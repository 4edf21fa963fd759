/**
 * The summary of a run: one fold over its events, which every view draws.
 *
 * Terminal, JSON, dashboard and loss plot all show this value, so they cannot disagree. It is
 * bounded: histories are thinned, lists are cut. An event that was seen already (same or lower
 * `seq`) changes nothing, so a reader may fold overlapping refills.
 */
import type { RunEvent } from './events.ts';

export interface WorkerSummary {
  id: string;
  pid: number;
  host: string;
  device: string;
  state: 'live' | 'left';
}

export interface LossPoint {
  step: number;
  loss: number;
  std: number;
}

export interface KnnResult {
  accuracy: number;
  standardError: number;
  queries: number;
  references: number;
}

export interface RunSummary {
  /** Highest `seq` folded; 0 before the first event. */
  seq: number;
  run: string;
  generation: number;
  state: 'opening' | 'training' | 'stopped' | 'done' | 'failed';
  model: string;
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
  /** ISO times of the first event of this generation and of the last event. */
  openedAt: string | null;
  lastAt: string | null;
  liveWorkers: number;
  workers: readonly WorkerSummary[];
  /** Times that micro-batches were moved to another worker. */
  leasesMoved: number;
  checkpoint: { path: string; digest: string; step: number; bytes: number } | null;
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
  lossHistory: readonly LossPoint[];
  lossStride: number;
}

export const lossHistoryMax = 512;
export const workersMax = 1024;
const warningsMax = 20;

export const emptySummary: RunSummary = {
  seq: 0,
  run: '',
  generation: 0,
  state: 'opening',
  model: '',
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
  openedAt: null,
  lastAt: null,
  liveWorkers: 0,
  workers: [],
  leasesMoved: 0,
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

function withPoint(summary: RunSummary, point: LossPoint): Partial<RunSummary> {
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

function withTimeLeft(summary: RunSummary): RunSummary {
  const { imagesPerSecond, batch } = summary;
  const steps = Math.max(0, goalOf(summary) - summary.step);
  const known = imagesPerSecond !== null && summary.state === 'training';
  return { ...summary, secondsLeft: known ? (steps * batch) / imagesPerSecond : null };
}

function withWorker(summary: RunSummary, worker: WorkerSummary): Partial<RunSummary> {
  const others = summary.workers.filter((known) => known.id !== worker.id);
  let workers = [...others, worker];
  if (workers.length > workersMax) {
    const oldest = workers.findIndex((known) => known.state === 'left');
    workers = workers.filter((_, index) => index !== Math.max(0, oldest));
  }
  return { workers, liveWorkers: workers.filter((known) => known.state === 'live').length };
}

function apply(summary: RunSummary, event: RunEvent): Partial<RunSummary> {
  switch (event.kind) {
    case 'run-opened': {
      const { run, generation, model, data, images, batch, microBatch, outputWidth } = event;
      const { totalSteps, stopAt } = event;
      return {
        ...{ run, generation, model, data, images, batch, microBatch, outputWidth },
        ...{ totalSteps, stopAt, state: 'training', openedAt: event.time, result: null },
        ...{ failure: null, workers: [], liveWorkers: 0, imagesPerSecond: null, timedSteps: 0 },
      };
    }
    case 'worker-joined': {
      const { worker: id, pid, host, device } = event;
      return withWorker(summary, { id, pid, host, device, state: 'live' });
    }
    case 'worker-left': {
      const known = summary.workers.find((worker) => worker.id === event.worker);
      return known === undefined ? {} : withWorker(summary, { ...known, state: 'left' });
    }
    case 'worker-refused':
      return withWarning(summary, event.code, `worker ${event.worker} refused: ${event.message}`);
    case 'lease-moved':
      return { leasesMoved: summary.leasesMoved + 1 };
    case 'sample-undecodable':
      return withWarning(summary, 'sample-undecodable', `${event.path} cannot be decoded: gray`);
    case 'step-committed': {
      const { step, epoch, loss, std, learningRate } = event;
      // A commit that only the ledger told of knows neither its rate nor its workers.
      const liveWorkers = event.workers > 0 ? event.workers : summary.liveWorkers;
      return {
        ...{ step, epoch, loss, std, learningRate, liveWorkers, state: 'training' },
        ...withRate(summary, event.imagesPerSecond),
        ...withPoint(summary, { step, loss, std }),
      };
    }
    case 'checkpoint-saved': {
      const { checkpoint: path, digest, step, bytes } = event;
      return { checkpoint: { path, digest, step, bytes } };
    }
    case 'rewound':
      return {
        step: event.to,
        lossHistory: summary.lossHistory.filter((kept) => kept.step <= event.to),
      };
    case 'knn-measured': {
      const { accuracy, standardError, queries, references, step } = event;
      const result = { accuracy, standardError, queries, references };
      return step === 0 ? { knnBefore: result } : { knnAfter: result };
    }
    case 'warning':
      return withWarning(summary, event.code, event.message);
    case 'run-failed':
      return { state: 'failed', failure: { code: event.code, message: event.message } };
    case 'run-done': {
      const { stopped, loss, std, digest, checkpoint } = event;
      const result = { stopped, loss, std, digest, checkpoint };
      return { state: stopped ? 'stopped' : 'done', loss, std, result };
    }
    default:
      // An event of a later version: it is counted, and shown by nobody.
      return {};
  }
}

function withWarning(summary: RunSummary, code: string, message: string): Partial<RunSummary> {
  const warnings = [...summary.warnings, { code, message }].slice(-warningsMax);
  const reproducible = summary.reproducible && code !== 'not-reproducible';
  return { warnings, warningCount: summary.warningCount + 1, reproducible };
}

/** The summary after one more event; the same value where the event was folded before. */
export function fold(summary: RunSummary, event: RunEvent): RunSummary {
  if (event.seq <= summary.seq) return summary;
  const next = { ...summary, seq: event.seq, lastAt: event.time, ...apply(summary, event) };
  return withTimeLeft(next);
}
