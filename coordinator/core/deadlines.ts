/**
 * How long is too long, from what was measured and from nothing else.
 *
 * A limit is the median of a worker's own times plus a multiple of their deviation, so a slow
 * worker is not a late one, and nobody sets a timeout by hand. Floors keep a pause of the machine
 * from looking like a death; a false alarm costs a second computation, never a bit of the result.
 */
import type { WorkerState } from './state.ts';
import { samplesKept } from './state.ts';

/** Deviations above the median that are still usual. */
const deviations = 6;
/** Least limit of a micro-batch, milliseconds. */
const leafFloorMs = 2000;
/** Greatest limit of a micro-batch (or a chunk of a survey), milliseconds. */
export const longestLeafMs = 600_000;
/** Least limit of a silence, milliseconds; its ceiling is the plan's `silenceMs`. */
const silenceFloorMs = 4000;
/** Times before there is a limit of its own: a first micro-batch compiles. */
const samplesLeast = 2;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** Median plus a multiple of the median absolute deviation, which counts as a sixth at least. */
function limitOf(values: readonly number[]): number {
  const typical = median(values);
  const deviation = 1.4826 * median(values.map((value) => Math.abs(value - typical)));
  return typical + deviations * Math.max(deviation, typical / deviations);
}

const within = (value: number, least: number, most: number) =>
  Math.min(Math.max(value, least), most);

/** After so long without news a micro-batch is late, milliseconds. */
export function leafLimitMs(worker: WorkerState): number {
  if (worker.leafTimes.length < samplesLeast) return longestLeafMs;
  return within(limitOf(worker.leafTimes), leafFloorMs, longestLeafMs);
}

/** After so long without a word a worker is suspect, milliseconds. */
export function silenceLimitMs(worker: WorkerState, ceilingMs: number): number {
  if (worker.heartbeatGaps.length < samplesLeast) return ceilingMs;
  return within(2 * limitOf(worker.heartbeatGaps), Math.min(silenceFloorMs, ceilingMs), ceilingMs);
}

const keep = (values: readonly number[], value: number): number[] =>
  [...values, value].slice(-samplesKept);

/** `count` micro-batches took so long. */
export function noteLeaves(worker: WorkerState, count: number, tookMs: number): void {
  for (let i = 0; i < Math.min(count, samplesKept); i += 1)
    worker.leafTimes = keep(worker.leafTimes, tookMs / count);
  worker.leafMs = median(worker.leafTimes);
}

/** A heartbeat came: how regular they are says what a silence means. */
export function noteHeartbeat(worker: WorkerState, now: number): void {
  if (worker.lastHeartbeat !== null)
    worker.heartbeatGaps = keep(worker.heartbeatGaps, now - worker.lastHeartbeat);
  worker.lastHeartbeat = now;
}
