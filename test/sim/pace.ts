/**
 * How much a fault costs in time: the same cluster with one fault at a chosen moment, measured on
 * the world's clock against the run without it. Nothing here depends on the machine.
 *
 * S = 32, four workers of equal pace. Claims (issue 5): a worker killed or stopped in the middle of
 * a step costs at most the time to notice it and 1.5 leaf times more than three workers need for all
 * that had not arrived (its 8 leaves alone are 2.7 leaf times for three); a worker that is ten times
 * slower leaves at least 90 % of 3.1/4 of the throughput.
 */
import { type Mark, marksNow } from './checkers.ts';
import { play } from './cluster.ts';
import type { Fault, Scenario, TimedFault } from './scenario.ts';

export const leafMs = 1000;
const steps = 6;
/** Leaves of each worker in a step. */
const share = 8;
/** The fault comes so long after the step is opened, leaf times. */
const faultAt = 3.5;
const ideal = faultAt + (3 * (share - faultAt) + share) / 3;

const scenario = (faults: TimedFault[], slow: number): Scenario => ({
  seed: 4,
  leaves: 32,
  samples: 100,
  steps,
  methodSeed: 1,
  workers: 4,
  minWorkers: 4,
  checkpointEvery: 100,
  leafMs: [leafMs * slow, leafMs, leafMs, leafMs],
  evenPace: true,
  duplicates: 0,
  stale: 0,
  latency: { least: 0.1, spread: 0.4 },
  undecodable: [],
  faults,
  calmAtMs: 600_000,
  sameNames: true,
});

export interface Pace {
  what: string;
  /** Length of the step in which the fault falls, leaf times; without a fault 8. */
  step: number;
  /** Length at which three workers, told at once, would have ended it without ever waiting. */
  ideal: number;
  /** From the fault to the first lease of what the worker held, leaf times. */
  noticed: number;
  /** Beyond the ideal and the time to notice; the claim: at most 1.5. */
  added: number;
}

/** What happened when, in a run that held. */
async function marksOf(scenario: Scenario): Promise<Mark[]> {
  const { violation } = await play(scenario);
  if (violation !== null) throw new Error(violation);
  return marksNow();
}

const times = (marks: Mark[]) =>
  marks.flatMap(({ kind, ms }) => (kind === 'step-committed' ? [ms] : []));

/** Length of each step after the first, milliseconds. */
const lengths = (marks: Mark[]): number[] => {
  const all = times(marks);
  return all.slice(1).map((ms, i) => ms - (all[i] as number));
};

/** One worker is lost in the middle of the fourth step. */
export async function paceOf(what: string, fault: Fault): Promise<Pace> {
  const quiet = await marksOf(scenario([], 1));
  const open = times(quiet)[2] as number;
  const atMs = open + faultAt * leafMs;
  const marks = await marksOf(scenario([{ atMs, fault }], 1));
  const moved = marks.find(({ kind, ms }) => kind === 'lease-moved' && ms >= atMs);
  const noticed = moved === undefined ? 0 : (moved.ms - atMs) / leafMs;
  const step = (lengths(marks)[2] as number) / leafMs;
  const added = step - ideal - noticed;
  return { what, step, ideal, noticed, added };
}

/** Throughput with one worker ten times slower, as a share of that with four equal ones. */
export async function shareWithSlowOne(): Promise<number> {
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  // The first steps are those in which speeds are learnt.
  const length = async (slow: number) =>
    sum(lengths(await marksOf(scenario([], slow))).slice(1)) / (steps - 2);
  return (await length(1)) / (await length(10));
}
