/**
 * Runs in which one worker computes wrongly until an audit finds it (`claim.ts` says how soon), and
 * one of honest workers alone. Each of the former ends once the past is repaired: ledger and
 * checkpoint are then those of an honest run.
 */
import { claimOf, leaves, workers } from './claim.ts';
import { type Outcome, play } from './cluster.ts';
import type { Scenario } from './scenario.ts';

const scenario = (seed: number, steps: number, audit: number): Scenario => ({
  seed,
  leaves,
  samples: 100,
  steps,
  methodSeed: 1,
  workers,
  minWorkers: workers,
  checkpointEvery: 100,
  leafMs: Array.from({ length: workers }, () => 10),
  options: { audit },
  duplicates: 0,
  stale: 0,
  latency: { least: 0.1, spread: 0.4 },
  undecodable: [],
  faults: [],
  calmAtMs: 0,
  sameNames: true,
  happeningsMax: 50_000_000,
});

/** One worker lies until it is found; the run ends once nothing of it is left. */
export const lyingRun = (
  seed: number,
  audit: number,
  share: number,
  trace: ((line: string) => void) | null,
): Promise<Outcome> => {
  const steps = Math.ceil((claimOf(audit, share).most * workers) / leaves);
  const flips = { worker: seed % workers, share };
  return play({ ...scenario(seed, steps, audit), flips, endOnceRepaired: true }, trace);
};

/** So many audits of honest workers, every leaf by two; a conviction would be a violation. */
export const honestRun = (audits: number): Promise<Outcome> =>
  play(scenario(1, Math.ceil(audits / leaves), 1));
