/**
 * `tandem bench train`: a coordinator and two workers against DistributedDataParallel with two
 * processes, on the same cores.
 *
 * Both sides train for ever on what they hold in memory; blocks of steps alternate and the other
 * side stands still meanwhile (Tandem by SIGSTOP, the peer by waiting for a line). Tandem makes its
 * views anew in each step, keeps its ledger and hashes; the peer has finished tensors.
 */
import { type BenchCase, caseName } from './cases.ts';
import { type BenchOptions, startPeer } from './compute-bench.ts';
import { type CaseResult, caseResult } from './report.ts';
import { numberOf, type Stepper } from './stepper.ts';
import { startTandemRun, type TandemRun } from './tandem-run.ts';

const workers = 2;
/** A block takes about so long: well below the silence after which a worker counts as lost, ms. */
const blockMs = 6000;
const blockStepsMax = 8;

export interface TrainBenchOptions extends BenchOptions {
  /** Images for Tandem's side; null: as many drawn flowers as a global batch has. */
  data: string | null;
}

export async function benchTrain(options: TrainBenchOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const one of options.cases) {
    options.say(`${caseName(one)} ${one.precision}: starting`);
    results.push(await benchCase(one, options));
  }
  return results;
}

async function benchCase(one: BenchCase, options: TrainBenchOptions): Promise<CaseResult> {
  const { rounds, peer, env, signal, say } = options;
  let torch: Stepper | null = null;
  let tandem: TandemRun | null = null;
  try {
    tandem = await startTandemRun({
      ...one,
      microBatch: one.batch / workers,
      workers,
      data: options.data ?? `synthetic:${one.batch}`,
      env,
      signal,
    });
    torch = peer === null ? null : await startPeer(one, workers, 1, peer, options);
    const stepMs =
      torch === null ? (1000 * one.batch) / (await tandem.block(1)) : await blockTime(torch, 1);
    const steps = Math.max(1, Math.min(blockStepsMax, Math.floor(blockMs / stepMs)));
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const turns = [
        async (run: TandemRun) => ours.push(await run.block(steps)),
        async () =>
          torch !== null &&
          theirs.push((1000 * steps * one.batch) / (await blockTime(torch, steps))),
      ];
      if (round % 2 === 1) turns.reverse();
      for (const turn of turns) await turn(tandem);
      say(`${caseName(one)} ${one.precision}: round ${round + 1} of ${rounds}`);
    }
    return caseResult(one, {
      unit: 'img/s',
      tandem: ours,
      peer: theirs,
      eager: [],
      memory: {
        tandem: tandem.peakBytes(),
        peer: torch === null ? null : numberOf(await torch.end(), 'peakBytes'),
      },
    });
  } finally {
    torch?.kill();
    await tandem?.end();
  }
}

/** Milliseconds of so many steps of the peer. */
async function blockTime(torch: Stepper, steps: number): Promise<number> {
  let sum = 0;
  for (let i = 0; i < steps; i++) sum += numberOf(await torch.step(), 'ms');
  return sum;
}
