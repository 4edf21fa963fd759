/**
 * Plays a schedule of faults, or a trace of worker counts, on the processes of a run, and follows
 * the run by its file of events until it is done.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { followEvents } from '../../cli/follow.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { sumPhases } from '../../shared/core/summary-goodput.ts';
import type { Cluster } from './cluster.ts';
import type { Hosts } from './hosts.ts';
import type { FaultKind, TimedFault } from './schedule.ts';

/** What was done to the run, and when by its events. */
export interface Deed {
  kind: FaultKind | 'arrive' | 'reclaim';
  /** Worker, or empty. */
  who: string;
  step: number;
}

export interface Watch {
  /** Steps committed for the first time. */
  step: number;
  /** Usual length of a step, milliseconds. */
  stepMs: number;
  events: number;
}

/** Follows a run's events into `watch` until the signal. */
export async function follow(
  run: string,
  watch: Watch,
  signal: AbortSignal,
  onEvent: (event: RunEvent) => void,
): Promise<void> {
  for await (const event of followEvents({ run, since: 0, signal, wait: true })) {
    watch.events += 1;
    if (event.kind === 'step-committed' && event.step > watch.step) {
      watch.step = event.step;
      const took = event.phasesMs === undefined ? 0 : sumPhases(event.phasesMs);
      // The first step compiles; later ones count by a slow mean.
      if (took > 0 && event.step > 1)
        watch.stepMs = watch.stepMs === 0 ? took : 0.8 * watch.stepMs + 0.2 * took;
    }
    onEvent(event);
  }
}

export interface DriveOptions {
  cluster: Cluster;
  hosts: Hosts;
  watch: Watch;
  signal: AbortSignal;
  onDeed: (deed: Deed, fault?: TimedFault) => void;
}

const pollMs = 20;
/** A worker that nobody can be found for is waited for so long, milliseconds. */
const victimMs = 120_000;

async function until(holds: () => boolean, signal: AbortSignal, ms = Infinity): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (signal.aborted || performance.now() > deadline) return false;
    await sleep(pollMs);
  }
  return true;
}

/** Faults one after the other, each when its step has come. Ends early with the signal. */
export async function playSchedule(
  schedule: readonly TimedFault[],
  places: number,
  drive: DriveOptions,
): Promise<void> {
  const { watch, signal } = drive;
  let came = { step: -1, at: 0 };
  for (const timed of schedule) {
    if (!(await until(() => watch.step >= timed.step, signal))) return;
    if (timed.step !== came.step) came = { step: timed.step, at: performance.now() };
    const due = came.at + timed.share * Math.min(watch.stepMs, 30_000);
    await until(() => performance.now() >= due, signal);
    if (signal.aborted) return;
    await strike(timed, places, drive);
  }
}

/** One fault; it waits for a victim where there is none at this moment. */
async function strike(timed: TimedFault, places: number, drive: DriveOptions): Promise<void> {
  const { cluster, hosts, watch, signal, onDeed } = drive;
  const { fault, victim } = timed;
  const did = (who: string) => onDeed({ kind: fault.kind, who, step: watch.step }, timed);
  const oneOf = (list: readonly number[]) => list[Math.floor(victim * list.length)];
  const someWorker = async (least: number): Promise<number | undefined> => {
    await until(() => cluster.present().length >= least, signal, victimMs);
    return signal.aborted ? undefined : oneOf(cluster.present());
  };
  switch (fault.kind) {
    case 'kill-worker':
    case 'stop-worker': {
      const place = await someWorker(1);
      if (place === undefined) return;
      if (fault.kind === 'kill-worker') cluster.killWorker(place, fault.backMs);
      else cluster.stopWorker(place, fault.forMs);
      did(`worker-${place}`);
      return;
    }
    case 'drain-worker': {
      // Somebody has to go on.
      const place = await someWorker(2);
      if (place === undefined) return;
      cluster.drainWorker(place, fault.signal);
      did(`worker-${place}`);
      return;
    }
    case 'join-worker': {
      const place = oneOf(cluster.absent(places));
      if (place === undefined) return;
      cluster.startWorker(place);
      did(`worker-${place}`);
      return;
    }
    case 'kill-coordinator':
    case 'stop-coordinator':
      if (!(await until(() => cluster.coordinatorRuns, signal, victimMs))) return;
      if (fault.kind === 'kill-coordinator') cluster.killCoordinator(fault.backMs);
      else cluster.stopCoordinator(fault.forMs);
      did('');
      return;
    case 'kill-nats':
      cluster.killNats(fault.backMs);
      did('');
      return;
    case 'partition': {
      const half = cluster.present().filter((_, i) => i % 2 === 0);
      hosts.cut(half);
      setTimeout(() => hosts.cut([]), fault.forMs).unref();
      did(half.map((place) => `worker-${place}`).join(' '));
    }
  }
}

/**
 * Keeps as many workers as a trace says for each tick. Who is too many is killed without notice, the
 * newest first, as an offer of spare machines is taken back; the trace begins again at its end.
 */
export async function playTrace(
  counts: readonly number[],
  tickMs: number,
  { cluster, watch, signal, onDeed }: DriveOptions,
): Promise<void> {
  const began = performance.now();
  for (let tick = 0; !signal.aborted; tick += 1) {
    const wanted = counts[tick % counts.length] ?? 0;
    const there = cluster.present();
    for (let place = 1; place <= wanted; place += 1)
      if (!there.includes(place)) {
        cluster.startWorker(place);
        onDeed({ kind: 'arrive', who: `worker-${place}`, step: watch.step });
      }
    for (const place of there.filter((number) => number > wanted).reverse()) {
      cluster.killWorker(place, null);
      onDeed({ kind: 'reclaim', who: `worker-${place}`, step: watch.step });
    }
    await until(() => performance.now() >= began + (tick + 1) * tickMs, signal);
  }
}
