/**
 * What goes wrong when, from a seed: pure, so a schedule can be printed, kept and played again.
 *
 * A fault is bound to a step and a share of a step's length, not to a time: a slow machine meets the
 * same faults as a quick one, and all of them, because a step that does not come makes the rest wait.
 * Each kind of fault is spread evenly over the run, with a jitter of its own. Which moment of the
 * step a fault really meets is the machine's to decide: the result may not depend on it.
 */
import { diceOf } from '../support/draws.ts';

export type Fault =
  | { kind: 'kill-worker'; backMs: number }
  | { kind: 'kill-coordinator'; backMs: number }
  | { kind: 'kill-nats'; backMs: number }
  | { kind: 'stop-worker'; forMs: number }
  | { kind: 'stop-coordinator'; forMs: number }
  /** Asked by `tandem drain`, or by SIGTERM; it stays away until a join. */
  | { kind: 'drain-worker'; signal: boolean }
  | { kind: 'join-worker' }
  /** Half of the workers and everybody else do not hear each other. */
  | { kind: 'partition'; forMs: number };

export type FaultKind = Fault['kind'];

export interface TimedFault {
  /** After the first commit of this step. */
  step: number;
  /** And this share of a step's usual length later. */
  share: number;
  /** Draws the worker that it hits among those that are there. */
  victim: number;
  fault: Fault;
}

/** How many of each kind. */
export type FaultCounts = Readonly<Partial<Record<FaultKind, number>>>;

export interface ScheduleOptions {
  seed: number;
  steps: number;
  counts: FaultCounts;
  /** Length of a partition, milliseconds. */
  partitionMs: number;
}

const kinds: readonly FaultKind[] = [
  'kill-worker',
  'kill-coordinator',
  'kill-nats',
  'stop-worker',
  'stop-coordinator',
  'drain-worker',
  'join-worker',
  'partition',
];

/** A process that died is missed for so long, one that was stopped stands still, milliseconds. */
const backMs = { least: 100, most: 4000 };
const stopMs = { least: 500, most: 12_000 };
/** A coordinator that stands still holds everybody up. */
const stopCoordinatorMs = { least: 300, most: 4000 };

/** The faults of a run, in the order in which they come. */
export function drawSchedule({
  seed,
  steps,
  counts,
  partitionMs,
}: ScheduleOptions): readonly TimedFault[] {
  const faults: TimedFault[] = [];
  kinds.forEach((kind, purpose) => {
    const dice = diceOf(seed, purpose);
    const count = counts[kind] ?? 0;
    for (let i = 0; i < count; i += 1) {
      // The first step is left alone, and so are the last ones: the last commit ends the run.
      const at = Math.max(1, steps - 3) * ((i + dice.draw()) / count);
      const fault = ((): Fault => {
        switch (kind) {
          case 'kill-worker':
          case 'kill-coordinator':
          case 'kill-nats':
            return { kind, backMs: Math.round(dice.between(backMs.least, backMs.most)) };
          case 'stop-worker':
            return { kind, forMs: Math.round(dice.between(stopMs.least, stopMs.most)) };
          case 'stop-coordinator': {
            const { least, most } = stopCoordinatorMs;
            return { kind, forMs: Math.round(dice.between(least, most)) };
          }
          case 'drain-worker':
            return { kind, signal: dice.chance(0.5) };
          case 'join-worker':
            return { kind };
          case 'partition':
            return { kind, forMs: partitionMs };
        }
      })();
      const step = Math.min(steps - 1, 1 + Math.floor(at));
      faults.push({ step, share: at % 1, victim: dice.draw(), fault });
    }
  });
  return faults.sort((a, b) => a.step - b.step || a.share - b.share);
}

/** One line of a fault, for people. */
export function faultText({ fault }: TimedFault): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  switch (fault.kind) {
    case 'kill-worker':
    case 'kill-coordinator':
    case 'kill-nats':
      return `SIGKILL, back after ${seconds(fault.backMs)}`;
    case 'stop-worker':
    case 'stop-coordinator':
      return `SIGSTOP for ${seconds(fault.forMs)}`;
    case 'drain-worker':
      return fault.signal ? 'SIGTERM' : 'tandem drain';
    case 'join-worker':
      return 'joins';
    case 'partition':
      return `half of the workers are cut off for ${seconds(fault.forMs)}`;
  }
}
