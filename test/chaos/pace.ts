/**
 * What a fault costs in time, in real processes: the claims that `npm run sim -- --pace` makes on a
 * fake clock, measured again with the shipped programs. A leaf takes a declared second (the smallest
 * model, exact compute), S = 32, four workers, so a quiet step takes eight.
 *
 * A worker is lost 3.5 leaf times into a step. `ideal` is when the three others could have ended it,
 * told at once and never waiting; `noticed` the time from the fault to the first lease that is moved;
 * `added` what is left. The machine's own time (sums, commit, start of a step) is in `quiet`.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { followEvents } from '../../cli/follow.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { Cluster } from './cluster.ts';
import { loopback } from './hosts.ts';

const leafMs = 1000;
const workers = 4;
const leaves = 32;
const share = leaves / workers;
const faultAt = 3.5;
const ideal = faultAt + (3 * (share - faultAt) + share) / 3;
/** Quiet steps between two faults: speeds are known again. */
const calmSteps = 3;
const settledSteps = 3;

export interface Loss {
  what: 'SIGKILL' | 'SIGSTOP';
  /** Leaf times. */
  step: number;
  noticed: number;
  /** Beyond `ideal`, the time to notice it, and what a quiet step takes beyond its leaves. */
  added: number;
}

export interface PaceFound {
  leafMs: number;
  /** Length of a quiet step, leaf times; the leaves alone are 8. */
  quiet: number;
  ideal: number;
  losses: Loss[];
  /** Throughput with one worker ten times slower ÷ that of four equal ones; claim: ≥ 0.9 · 3.1/4. */
  slowShare: number;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const timeOf = (event: RunEvent) => Date.parse(event.time);

/** A cluster of paced workers; `act` is told of each event and says when it has seen enough. */
async function pacedRun(
  folder: string,
  paceMs: readonly number[],
  act: (event: RunEvent, cluster: Cluster) => boolean,
): Promise<RunEvent[]> {
  const run = join(folder, 'run');
  const options = {
    ...{ data: 'synthetic:200', model: 'resnet18-cifar', size: 8, steps: 1000, seed: 4 },
    ...{ batch: 2 * leaves, 'micro-batch': 2, 'min-workers': workers },
  };
  const cluster = new Cluster({
    ...{ hosts: await loopback(), run, logs: join(folder, 'logs'), small: true, paceMs },
    ...{ options: Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]) },
    ...{ workerData: 'synthetic:200', nats: null },
  });
  const over = new AbortController();
  const events: RunEvent[] = [];
  cluster.startCoordinator();
  for (let place = 1; place <= workers; place += 1) cluster.startWorker(place);
  try {
    for await (const event of followEvents({ run, since: 0, signal: over.signal, wait: true })) {
      events.push(event);
      if (act(event, cluster)) break;
    }
  } finally {
    over.abort();
    cluster.killAll();
  }
  return events;
}

const commits = (events: readonly RunEvent[]) =>
  events.filter((event) => event.kind === 'step-committed');

/** Lengths of the steps after the settled ones, milliseconds. */
function lengths(events: readonly RunEvent[]): number[] {
  const times = commits(events).map(timeOf);
  return times.slice(1).map((time, i) => time - (times[i] as number));
}

/** Faults on worker 2, so many of each kind, each followed by calm steps. */
async function losses(folder: string, repeats: number, say: (line: string) => void) {
  const kinds = (['SIGKILL', 'SIGSTOP'] as const).flatMap((what) =>
    Array.from({ length: repeats }, () => what),
  );
  const struck: { what: Loss['what']; step: number; at: number }[] = [];
  let calmFrom = settledSteps;
  let live = 0;
  const events = await pacedRun(folder, Array(workers).fill(leafMs), (event, cluster) => {
    if (event.kind === 'worker-joined') live += 1;
    if (event.kind === 'worker-left') live -= 1;
    if (event.kind !== 'step-committed') return false;
    const last = struck.at(-1);
    if (last !== undefined && event.step === last.step + 1) {
      // The lost one comes back for the next step, not within this one.
      if (last.what === 'SIGKILL') cluster.startWorker(2);
      calmFrom = event.step + 1 + calmSteps;
      say(`${last.what}: step ${event.step} is over`);
      return struck.length === kinds.length;
    }
    const what = kinds[struck.length];
    if (what === undefined || event.step < calmFrom || live < workers) return false;
    const due = timeOf(event) + faultAt * leafMs;
    struck.push({ what, step: event.step, at: due });
    void sleep(due - Date.now()).then(() => {
      if (what === 'SIGKILL') cluster.killWorker(2, null);
      // It comes back when the step is over: what one may take at most, and a little.
      else cluster.stopWorker(2, (2 * share + 4) * leafMs);
    });
    return false;
  });
  return { events, struck };
}

/** Steps in which nothing happened and before which nothing happened. */
function quietLeaves(events: readonly RunEvent[], struck: readonly { step: number }[]): number {
  const busy = new Set(struck.flatMap(({ step }) => [step + 1, step + 2, step + 3]));
  const all = lengths(events);
  const calm = all.filter((_, i) => i + 2 > settledSteps && !busy.has(i + 2));
  return median(calm) / leafMs;
}

export async function measurePace(
  folder: string,
  say: (line: string) => void,
  repeats = 5,
): Promise<PaceFound> {
  const { events, struck } = await losses(join(folder, 'lost'), repeats, say);
  const quiet = quietLeaves(events, struck);
  const times = new Map(commits(events).map((event) => [event.step, timeOf(event)]));
  const found = struck.map(({ what, step, at }): Loss => {
    const open = times.get(step) ?? Number.NaN;
    const end = times.get(step + 1) ?? Number.NaN;
    const moved = events.find((event) => event.kind === 'lease-moved' && timeOf(event) >= at);
    const noticed = moved === undefined ? 0 : (timeOf(moved) - at) / leafMs;
    const length = (end - open) / leafMs;
    return { what, step: length, noticed, added: length - ideal - noticed - (quiet - share) };
  });
  say('one worker ten times slower');
  const slow = [leafMs * 10, leafMs, leafMs, leafMs];
  const last = 12;
  const slowed = await pacedRun(
    join(folder, 'slow'),
    slow,
    (event) => event.kind === 'step-committed' && event.step === last,
  );
  const settled = lengths(slowed).slice(settledSteps - 1);
  const mean = settled.reduce((a, b) => a + b, 0) / settled.length / leafMs;
  return { leafMs, quiet, ideal, losses: found, slowShare: quiet / mean };
}

export function paceText({ quiet, ideal: whole, losses: all, slowShare }: PaceFound): string {
  const lines = all.map(
    ({ what, step, noticed, added }) =>
      `${what}: the step took ${step.toFixed(2)} leaf times; noticed after ${noticed.toFixed(2)}, ` +
      `and ${added.toFixed(2)} beyond the ideal ${whole.toFixed(2)} (claim: at most 1.5)`,
  );
  const wanted = (0.9 * 3.1) / 4;
  return [
    `a quiet step takes ${quiet.toFixed(2)} leaf times (its leaves alone ${share})`,
    ...lines,
    `one worker 10 times slower: ${slowShare.toFixed(3)} of the throughput ` +
      `(claim: at least ${wanted.toFixed(3)})`,
  ].join('\n');
}
