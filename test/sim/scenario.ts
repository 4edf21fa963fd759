/**
 * What a seed stands for: a small run, a cluster, and the faults that will befall them.
 *
 * All of it is drawn here and nowhere else, so a seed is a whole story; the twins draw only how
 * long things take.
 */
import { type Dice, diceOf } from '../support/draws.ts';

export type Fault =
  /** A worker's process dies and is started again after a while. */
  | { kind: 'kill-worker'; worker: number; awayMs: number }
  | { kind: 'stop-worker'; worker: number; awayMs: number }
  /** All that it computes takes ten times as long. */
  | { kind: 'slow-worker'; worker: number; awayMs: number }
  /** SIGTERM: it says goodbye. */
  | { kind: 'end-worker'; worker: number; awayMs: number }
  /** `tandem drain`: the coordinator asks it to leave. */
  | { kind: 'drain-worker'; worker: number }
  | { kind: 'break-connections'; worker: number }
  | { kind: 'half-open'; worker: number }
  | { kind: 'partition'; workers: number[]; forMs: number }
  /** Results that a worker sent before arrive once more. */
  | { kind: 'replay'; worker: number; results: number }
  | { kind: 'kill-coordinator'; awayMs: number }
  /** It dies at an effect (a file operation or a message), so many from now. */
  | {
      kind: 'kill-coordinator-at';
      effects: number;
      when: 'before' | 'during' | 'after';
      awayMs: number;
    }
  /** SIGTERM: it ends in order, and is started again. */
  | { kind: 'end-coordinator'; awayMs: number }
  | { kind: 'power-cut'; awayMs: number }
  /** It is stopped, another one is started on its folder, and it goes on. */
  | { kind: 'usurp'; stoppedMs: number }
  | { kind: 'usurp-at'; effects: number; atFence: boolean; stoppedMs: number }
  | { kind: 'disk-full'; forMs: number }
  | { kind: 'disk-fails'; operations: number }
  | { kind: 'disk-slow'; forMs: number };

export interface TimedFault {
  atMs: number;
  fault: Fault;
}

export interface Scenario {
  seed: number;
  /** S */
  leaves: number;
  steps: number;
  /** Images in the data set. */
  samples: number;
  methodSeed: number;
  workers: number;
  minWorkers: number;
  checkpointEvery: number;
  /** Pace of each worker, milliseconds a leaf. */
  leafMs: number[];
  /** Every leaf takes its worker the same time. */
  evenPace?: boolean;
  /** Flips one mantissa bit in this share of the leaves of one worker. */
  flips?: { worker: number; share: number };
  /** The run is ended once a worker is convicted and what it did is computed again. */
  endOnceRepaired?: boolean;
  /** Instead of the usual bound on what may happen. */
  happeningsMax?: number;
  /** Options of the run besides those drawn here. */
  options?: Record<string, string | number | boolean>;
  /** The first coordinator dies at this effect; `powerCut`: its machine with it. */
  crash?: { effect: number; when: 'before' | 'during' | 'after'; powerCut: boolean };
  /** Results that arrive twice, as a share. */
  duplicates: number;
  /** Joins after which a worker's results of before arrive once more, as a share. */
  stale: number;
  latency: { least: number; spread: number };
  undecodable: number[];
  faults: TimedFault[];
  /** No fault begins or lasts beyond it. */
  calmAtMs: number;
  /** A worker that comes back has its old name. */
  sameNames: boolean;
}

/** Methods are few, so that what they must come to is computed once. */
const shapes = [
  { leaves: 1, samples: 5 },
  { leaves: 4, samples: 11 },
  { leaves: 5, samples: 17 },
  { leaves: 8, samples: 16 },
  { leaves: 12, samples: 29 },
  { leaves: 16, samples: 61 },
  { leaves: 32, samples: 100 },
];

const kinds: [weight: number, kind: Fault['kind']][] = [
  [4, 'kill-worker'],
  [2, 'stop-worker'],
  [2, 'slow-worker'],
  [1, 'end-worker'],
  [2, 'break-connections'],
  [2, 'half-open'],
  [2, 'partition'],
  [2, 'replay'],
  [2, 'kill-coordinator'],
  [4, 'kill-coordinator-at'],
  [1, 'end-coordinator'],
  [3, 'power-cut'],
  [2, 'usurp'],
  [3, 'usurp-at'],
  [1, 'disk-full'],
  [1, 'disk-fails'],
  [1, 'disk-slow'],
];

function kindOf(dice: Dice): Fault['kind'] {
  let left = dice.draw() * kinds.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, kind] of kinds) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'kill-worker';
}

/** Short, middling and long absences: shorter and longer than anybody's patience. */
const absence = (dice: Dice) =>
  dice.oneOf([dice.between(20, 300), dice.between(300, 3000), dice.between(3000, 30_000)]);

function faultOf(dice: Dice, workers: number, kind: Fault['kind']): Fault {
  const worker = dice.whole(0, workers - 1);
  const awayMs = absence(dice);
  switch (kind) {
    case 'kill-worker':
    case 'stop-worker':
    case 'slow-worker':
    case 'end-worker':
      return { kind, worker, awayMs };
    case 'break-connections':
    case 'half-open':
    case 'drain-worker':
      return { kind, worker };
    case 'partition': {
      const some = Array.from({ length: workers }, (_, i) => i).filter(() => dice.chance(0.5));
      return { kind, workers: some.length > 0 ? some : [worker], forMs: awayMs };
    }
    case 'replay':
      return { kind, worker, results: dice.whole(1, 4) };
    case 'kill-coordinator':
    case 'end-coordinator':
    case 'power-cut':
      return { kind, awayMs: Math.min(awayMs, 4000) };
    case 'kill-coordinator-at': {
      const when = dice.oneOf(['before', 'during', 'after'] as const);
      return { kind, effects: dice.whole(1, 120), when, awayMs: Math.min(awayMs, 4000) };
    }
    case 'usurp':
      return { kind, stoppedMs: Math.min(awayMs, 5000) };
    case 'usurp-at': {
      const atFence = dice.chance(0.5);
      const effects = dice.whole(1, atFence ? 12 : 200);
      return { kind, effects, atFence, stoppedMs: Math.min(awayMs, 5000) };
    }
    case 'disk-full':
    case 'disk-slow':
      return { kind, forMs: Math.min(awayMs, 3000) };
    case 'disk-fails':
      return { kind, operations: dice.whole(1, 3) };
  }
}

export function scenarioOf(seed: number): Scenario {
  const dice = diceOf(seed, 0);
  const shape = dice.oneOf(shapes);
  const workers = dice.whole(1, 6);
  const steps = dice.whole(5, 12);
  const pace = dice.oneOf([2, 10, 50, 200]);
  const leafMs = Array.from({ length: workers }, () => pace * dice.between(0.7, 1.5));
  // About as long as the run takes without a fault, and sometimes only its beginning.
  const usual = (steps * shape.leaves * pace) / workers + steps * 40 + 100;
  const horizon = usual * dice.oneOf([0.2, 1, 1.5]);
  const count = dice.oneOf([0, 1, 2, 3, 4, 6, 9]);
  // In some seeds faults of one kind come again and again.
  const only = dice.chance(0.3) ? kindOf(dice) : null;
  const faults = Array.from({ length: count }, () => ({
    atMs: dice.between(0, horizon),
    fault: faultOf(dice, workers, only ?? kindOf(dice)),
  })).sort((a, b) => a.atMs - b.atMs);
  const scenario: Scenario = {
    seed,
    ...shape,
    steps,
    methodSeed: dice.whole(1, 3),
    workers,
    minWorkers: dice.chance(0.2) ? dice.whole(1, workers) : 1,
    checkpointEvery: dice.whole(1, 5),
    leafMs,
    duplicates: dice.chance(0.4) ? 0.2 : 0,
    stale: dice.chance(0.4) ? 0.5 : 0,
    latency: dice.oneOf([
      { least: 0.1, spread: 1 },
      { least: 0.5, spread: 20 },
      { least: 40, spread: 30 },
    ]),
    undecodable: dice.chance(0.12) ? [dice.whole(0, shape.samples - 1)] : [],
    faults,
    calmAtMs: Math.max(0, ...faults.map(({ atMs }) => atMs)) + 40_000,
    sameNames: dice.chance(0.5),
  };
  return watched(drained(scenario, dice, horizon), dice);
}

/** Some runs are drained now and then, besides whatever else befalls them. */
function drained(scenario: Scenario, dice: Dice, horizon: number): Scenario {
  if (!dice.chance(0.25)) return scenario;
  const drains = Array.from({ length: dice.whole(1, 3) }, () => ({
    atMs: dice.between(0, horizon),
    fault: faultOf(dice, scenario.workers, 'drain-worker'),
  }));
  const faults = [...scenario.faults, ...drains].sort((a, b) => a.atMs - b.atMs);
  return { ...scenario, faults };
}

/** Some runs are audited, and in some of these one worker computes wrongly. */
function watched(scenario: Scenario, dice: Dice): Scenario {
  const audit = dice.oneOf([0, 0, 0, 0.1, 0.5, 1, 1]);
  const lies = dice.chance(0.6);
  const share = dice.oneOf([0.03, 0.2, 1]);
  // One worker alone cannot be audited, and of two that differ nobody knows who is wrong.
  if (audit === 0 || scenario.workers < 2) return scenario;
  const options = { audit };
  if (!lies || scenario.workers < 4) return { ...scenario, options };
  const worker = dice.whole(0, scenario.workers - 1);
  const minWorkers = Math.max(3, scenario.minWorkers);
  return { ...scenario, options, minWorkers, flips: { worker, share } };
}

/** A short run of twenty steps whose coordinator dies at one of its effects; null: it does not. */
export const crashScenario = (crash: Scenario['crash'] | null): Scenario => ({
  seed: 20,
  leaves: 4,
  samples: 11,
  steps: 20,
  methodSeed: 1,
  workers: 2,
  minWorkers: 1,
  checkpointEvery: 5,
  leafMs: [10, 10],
  ...(crash === null || crash === undefined ? {} : { crash }),
  duplicates: 0,
  stale: 0,
  latency: { least: 0.1, spread: 1 },
  undecodable: [],
  faults: [],
  calmAtMs: 60_000,
  sameNames: true,
});
