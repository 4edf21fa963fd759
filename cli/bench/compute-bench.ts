/**
 * `tandem bench compute`: one process a side, one step each in turn.
 *
 * Round by round the peer and Tandem do a step each, who goes first alternates, and the ratio is
 * taken within the round: what slows the machine for seconds slows both. While one computes, the
 * others wait for a line. The eager step is slow and wanted for orientation: a few rounds of it.
 */
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { computeEnvironment } from '../../worker/compute/environment.ts';
import { type BenchCase, caseName, stepFlops } from './cases.ts';
import { type CaseResult, caseResult } from './report.ts';
import { median, pairedRatios, quantile, slope } from './statistics.ts';
import { type Answer, numberOf, startStepper, type Stepper } from './stepper.ts';

export interface BenchOptions {
  cases: readonly BenchCase[];
  rounds: number;
  /** Python with torch; null: our side only. */
  peer: string | null;
  /** The environment that the processes' own are made from. */
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  say: (line: string) => void;
}

const eagerRoundsMax = 3;

const ourProgram = fileURLToPath(new URL('./tandem-step.js', import.meta.url));
/** From dist/cli/bench to the sources: the peer is not compiled. */
export const peerProgram = fileURLToPath(
  new URL('../../../test/bench/torch_peer.py', import.meta.url),
);

export interface ComputeBenchOptions extends BenchOptions {
  /** Of each side; ours side by side, one within an operation (NUMERICS 2). */
  threads: number;
}

export async function benchCompute(options: ComputeBenchOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const one of options.cases) {
    options.say(`${caseName(one)} ${one.precision}: starting`);
    results.push(await benchCase(one, options));
  }
  return results;
}

async function benchCase(one: BenchCase, options: ComputeBenchOptions): Promise<CaseResult> {
  const { rounds, peer, threads, say } = options;
  const open: Stepper[] = [];
  const start = async (starting: Promise<Stepper>): Promise<Stepper> => {
    const stepper = await starting;
    open.push(stepper);
    return stepper;
  };
  try {
    const tandem = await start(startTandem(one, 'compiled', options));
    const torch = peer === null ? null : await start(startPeer(one, 1, threads, peer, options));
    // Eager tfjs has no bfloat16.
    const eager = one.precision === 'f32' ? await start(startTandem(one, 'eager', options)) : null;
    const ours: Answer[] = [];
    const theirs: Answer[] = [];
    const eagerTimes: number[] = [];
    const others: number[] = [];
    const stepOf = async (side: Stepper): Promise<Answer> => {
      const [busy, start] = [busyMs(), performance.now()];
      const answer = await side.step();
      const possible = (performance.now() - start) * availableParallelism();
      others.push(Math.max(0, busyMs() - busy - numberOf(answer, 'cpuMs')) / possible);
      return answer;
    };
    for (let round = 0; round < rounds; round++) {
      const turns = [
        async () => ours.push(await stepOf(tandem)),
        async () => torch !== null && theirs.push(await stepOf(torch)),
      ];
      if (round % 2 === 1) turns.reverse();
      for (const turn of turns) await turn();
      if (eager !== null && round < eagerRoundsMax) {
        eagerTimes.push(numberOf(await eager.step(), 'ms'));
      }
      say(`${caseName(one)} ${one.precision}: round ${round + 1} of ${rounds}`);
    }
    const times = (answers: Answer[], key: string): number[] =>
      answers.map((answer) => numberOf(answer, key));
    const tandemMs = median(times(ours, 'ms'));
    const peakFlops = numberOf(await tandem.ask('peak'), 'flops');
    const views = numberOf(await tandem.ask('views'), 'ms');
    const processor = pairedRatios(times(theirs, 'cpuMs'), times(ours, 'cpuMs'));
    const gradients = pairedRatios(times(theirs, 'gradientMs'), times(ours, 'gradientMs'));
    return caseResult(one, {
      unit: 'ms',
      tandem: times(ours, 'ms'),
      peer: times(theirs, 'ms'),
      eager: eagerTimes,
      memory: {
        tandem: numberOf(await tandem.end(), 'peakBytes'),
        peer: torch === null ? null : numberOf(await torch.end(), 'peakBytes'),
      },
      details: {
        gradient: median(times(ours, 'gradientMs')),
        gradientRatio: gradients.length > 0 ? median(gradients) : null,
        processor: median(times(ours, 'cpuMs')),
        processorRatio: processor.length > 0 ? median(processor) : null,
        views,
        peakShare: stepFlops(one) / (tandemMs / 1000) / peakFlops,
        peakFlops,
        slowest: quantile(times(ours, 'ms'), 0.99),
        growth: slope(times(ours, 'residentBytes')),
        others: median(others),
      },
    });
  } finally {
    for (const stepper of open) stepper.kill();
  }
}

/** Processor time that the whole machine has spent, ms. */
function busyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0);
}

function startTandem(
  one: BenchCase,
  mode: 'compiled' | 'eager',
  { env, signal, threads }: ComputeBenchOptions,
): Promise<Stepper> {
  return startStepper({
    name: `Tandem (${mode})`,
    command: process.execPath,
    args: [ourProgram, JSON.stringify({ ...one, mode })],
    env: computeEnvironment(env, { threadsInterOp: threads, precision: one.precision }),
    signal,
  });
}

/** PyTorch: one process, or DDP with several; `perProcess` threads each. */
export function startPeer(
  one: BenchCase,
  processes: number,
  perProcess: number,
  python: string,
  { env, signal }: Pick<BenchOptions, 'env' | 'signal'>,
): Promise<Stepper> {
  return startStepper({
    name: `PyTorch (${python})`,
    command: python,
    args: [peerProgram, JSON.stringify({ ...one, processes, threads: perProcess })],
    env,
    signal,
  });
}
