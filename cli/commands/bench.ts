/**
 * `tandem bench compute` and `tandem bench train`: how fast Tandem is here, beside PyTorch on the
 * same machine, paired step by step or block by block.
 */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import type { Command } from 'commander';
import { parseConfig } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { chooseCases, computeCases, trainCases } from '../bench/cases.ts';
import type { BenchOptions } from '../bench/compute-bench.ts';
import { type CaseResult, resultTable } from '../bench/report.ts';
import type { CommandContext, CommandSpec, GivenFlags } from '../command.ts';
import { withData } from '../data-option.ts';
import { printable } from '../../shared/core/format.ts';
import type { Job } from '../io.ts';

const roundsMax = 10_000;
const threadsMax = 256;
const probeMs = 60_000;

function declare(command: Command): void {
  command.option(
    '--peer <PYTHON>',
    'a Python with torch, to compare with; without it: Tandem alone',
  );
  command.option('--cases <FILTER>', 'words of a case, or MODEL:SIZE:BATCH:PRECISION; commas');
  command.option('--rounds <N>', 'measurements of each side');
  command.option('--json', 'one JSON object on stdout');
}

function wholeOf(flags: GivenFlags, name: string, preset: number, most: number): number {
  const given = flags[name];
  if (given === undefined) return preset;
  if (/^\d{1,5}$/.test(String(given)) && Number(given) >= 1 && Number(given) <= most) {
    return Number(given);
  }
  throw new Failure(
    'bad-option',
    `--${name} expects a whole number from 1 to ${most}, not "${String(given)}".`,
  );
}

/** Refuses a Python that cannot import torch. Runs it once; null: no peer is wanted. */
function checkPeer(python: string | null): void {
  if (python === null) return;
  const probe = spawnSync(python, ['-c', 'import torch'], { encoding: 'utf8', timeout: probeMs });
  if (probe.status === 0) return;
  const found = probe.error?.message ?? probe.stderr.trim().split('\n').at(-1) ?? 'nothing';
  throw new Failure(
    'bad-option',
    `--peer expects a Python that has torch (pip install torch numpy), found: ${printable(found)}.`,
  );
}

type Bench = (options: BenchOptions) => Promise<CaseResult[]>;

/** What both commands share: arguments to options, results to stdout. */
function benchJob(
  flags: GivenFlags,
  { io }: CommandContext,
  options: Pick<BenchOptions, 'cases' | 'rounds'>,
  load: () => Promise<Bench>,
): Job {
  const peer = typeof flags['peer'] === 'string' ? flags['peer'] : null;
  return async (signal) => {
    checkPeer(peer);
    const bench = await load();
    const say = (line: string): void => void io.stderr.write(`${printable(line)}\n`);
    const load1 = loadavg()[0] ?? 0;
    const results = await bench({ ...options, peer, env: io.env, signal, say });
    if (flags['json'] === true) {
      const cores = cpus();
      const machine = { cpu: cores[0]?.model ?? 'unknown', cores: cores.length, load: load1 };
      io.stdout.write(`${JSON.stringify({ machine, cases: results })}\n`);
    } else io.stdout.write(resultTable(results));
    return 0;
  };
}

function refuseArguments(args: readonly string[]): void {
  if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
}

const filterOf = (flags: GivenFlags): string | undefined =>
  typeof flags['cases'] === 'string' ? flags['cases'] : undefined;

export const benchComputeCommand: CommandSpec = {
  name: 'bench compute',
  positional: '',
  summary: 'milliseconds of a training step, compiled and eager, beside PyTorch',
  examples: [
    ['against PyTorch', 'bench compute --peer venv/bin/python --json'],
    ['some of the cases', 'bench compute --cases resnet50 --rounds 9'],
    ['a case of your own', 'bench compute --cases resnet18:64:32:f32'],
  ],
  declare(command) {
    declare(command);
    command.option('--threads <N>', 'of each side (2)');
  },
  prepare(args, flags, context) {
    refuseArguments(args);
    const cases = chooseCases(computeCases, filterOf(flags));
    const rounds = wholeOf(flags, 'rounds', 15, roundsMax);
    const threads = wholeOf(flags, 'threads', 2, threadsMax);
    return benchJob(flags, context, { cases, rounds }, async () => {
      const { benchCompute } = await import('../bench/compute-bench.ts');
      return (options) => benchCompute({ ...options, threads });
    });
  },
};

export const benchTrainCommand: CommandSpec = {
  name: 'bench train',
  positional: '',
  summary: 'images a second of a coordinator and two workers, beside DistributedDataParallel',
  examples: [
    ['against PyTorch', 'bench train --peer venv/bin/python --json'],
    ['the small batch, on photographs', 'bench train --cases 64 --data .'],
  ],
  declare(command) {
    declare(command);
    command.option('--data <DIR>', "images for Tandem's side (drawn ones in memory)");
  },
  prepare(args, flags, context) {
    refuseArguments(args);
    const cases = chooseCases(trainCases, filterOf(flags));
    const odd = cases.find((one) => one.batch % 2 !== 0);
    if (odd !== undefined) {
      throw new Failure('bad-option', `two workers need an even batch, not ${odd.batch}.`);
    }
    const rounds = wholeOf(flags, 'rounds', 8, roundsMax);
    const values = { data: flags['data'] };
    const data =
      values.data === undefined
        ? null
        : withData(parseConfig([{ source: 'flag', values }]).config).data;
    return benchJob(flags, context, { cases, rounds }, async () => {
      const { benchTrain } = await import('../bench/train-bench.ts');
      return (options) => benchTrain({ ...options, data });
    });
  },
};
