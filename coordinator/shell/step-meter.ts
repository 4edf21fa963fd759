/**
 * Where the time of a step goes, seen from the coordinator: each instant counts for one phase.
 *
 * It watches the turns of the core and decides nothing. The phase follows from the state after each
 * turn; `upload` and `reduce` are told apart by whether this process was busy or waited for bytes.
 */
import { performance } from 'node:perf_hooks';
import { type StepPhases, type StepWork, workRowsMax } from '../../shared/core/events.ts';
import { noPhases } from '../../shared/core/summary-goodput.ts';
import { liveWorkers, type CoreEvent, type Effect, type State } from '../core/state.ts';
import { leavesOf } from '../../shared/core/tree.ts';

export type Direction = 'gradients-in' | 'weights-out' | 'samples-out';

export interface StepMeter {
  /** After each turn of the core. */
  turn(state: State, event: CoreEvent, effects: readonly Effect[]): void;
  /** A worker begins (+1) or ends (−1) to fetch weights. */
  pulling(change: 1 | -1): void;
  /** Bytes on the wire; gradients of a worker. */
  bytes(direction: Direction, count: number, worker?: string): void;
  /** Totals since this life began. */
  readonly totals: Readonly<Record<Direction, number>>;
  /** The step ends here, and the next begins. */
  report(): { phasesMs: StepPhases; work: StepWork[] };
}

interface Open {
  attempt: number;
  since: number;
  leaves: number;
}

type Phase = keyof StepPhases | 'reducing';

export function stepMeter(now: () => number = () => performance.now()): StepMeter {
  const totals = { 'gradients-in': 0, 'weights-out': 0, 'samples-out': 0 };
  let phases: StepPhases = { ...noPhases };
  let rows = new Map<string, StepWork>();
  let began = now();
  let at = began;
  let phase: Phase = 'wait';
  let busySince = performance.eventLoopUtilization();
  let last: State | null = null;
  let pulls = 0;
  const open = new Map<string, Open>();

  /** Counts the time since the last look for the phase that it belongs to. */
  function settle(): number {
    const time = now();
    const spent = time - at;
    at = time;
    if (phase === 'reducing') {
      const before = busySince;
      busySince = performance.eventLoopUtilization();
      const busy = Math.min(spent, performance.eventLoopUtilization(busySince, before).active);
      phases.reduce += busy;
      phases.upload += spent - busy;
    } else phases[phase] += spent;
    return time;
  }

  function phaseOf(state: State): Phase {
    switch (state.phase) {
      case 'computing': {
        const leased = Object.values(state.workers).filter((w) => w.lease !== null).length;
        if (leased > 0) return pulls >= leased ? 'broadcast' : 'compute';
        return liveWorkers(state).length > 0 ? 'lease' : 'wait';
      }
      case 'reducing':
        return 'reducing';
      case 'committing':
      case 'closing':
        return 'commit';
      default:
        return 'wait';
    }
  }

  function enter(state: State): void {
    const next = phaseOf(state);
    if (next === 'reducing' && phase !== 'reducing') busySince = performance.eventLoopUtilization();
    phase = next;
  }

  function row(worker: string, time: number): StepWork {
    const known = rows.get(worker);
    if (known !== undefined) return known;
    const made = { worker, microBatches: 0, fromMs: time - began, toMs: 0, busyMs: 0, bytes: 0 };
    rows.set(worker, made);
    return made;
  }

  return {
    totals,
    turn(state, event, effects) {
      const time = settle();
      if (event.kind === 'node-ready') {
        const held = open.get(event.worker);
        const accepted = state.workers[event.worker]?.lease?.attempt !== held?.attempt;
        if (held !== undefined && accepted) {
          const done = row(event.worker, held.since);
          done.microBatches += held.leaves;
          done.busyMs += time - held.since;
          done.toMs = time - began;
          open.delete(event.worker);
        }
      }
      for (const id of open.keys()) if (!state.workers[id]?.lease) open.delete(id);
      for (const effect of effects) {
        if (effect.kind !== 'lease') continue;
        const [first, end] = leavesOf(effect.node, state.plan.leaves);
        open.set(effect.worker, { attempt: effect.attempt, since: time, leaves: end - first });
      }
      last = state;
      enter(state);
    },
    pulling(change) {
      settle();
      pulls += change;
      if (last !== null) enter(last);
    },
    bytes(direction, count, worker) {
      totals[direction] += count;
      const known = worker === undefined ? undefined : rows.get(worker);
      if (known !== undefined) known.bytes += count;
    },
    report() {
      const time = settle();
      const found = phases;
      const work = [...rows.values()]
        .filter((made) => made.microBatches > 0)
        .sort((a, b) => b.microBatches - a.microBatches)
        .slice(0, workRowsMax)
        .map((made) => ({
          ...made,
          fromMs: Math.round(made.fromMs),
          toMs: Math.round(made.toMs),
          busyMs: Math.round(made.busyMs),
        }));
      phases = { ...noPhases };
      rows = new Map();
      began = time;
      const tenths = Object.entries(found).map(([name, ms]) => [name, Math.round(10 * ms) / 10]);
      return { phasesMs: Object.fromEntries(tenths) as StepPhases, work };
    },
  };
}
