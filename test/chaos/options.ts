/**
 * Options of `npm run chaos` (without `--crash-points`), read and checked.
 *
 *   --steps N --seed K --workers N     the run, and the seed of data order and faults
 *   --data DIR --model NAME --size PIXELS --batch B --micro-batch M --precision P
 *                                      as of `tandem train`; --model small: no TensorFlow
 *   --leaf MS                          least time of a micro-batch under fire (small: 40)
 *   --kills N --coordinator-kills N --stops N --drains N --joins N --nats-kills N
 *   --network --delay MS --loss SHARE --congestion NAME --partitions N --partition SECONDS
 *   --replay FILE --tick SECONDS       worker counts per tick (JSON array) instead of faults
 *   --quiet-run DIR                    a finished quiet run to compare with, instead of a new one
 *   --out DIR                          where runs and logs are kept; else they are removed
 *   --schedule                         only print what would go wrong
 *   --pace                             what a lost, stopped or slow worker costs (pace.ts)
 *   --json
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { FaultCounts } from './schedule.ts';

export interface ChaosOptions {
  steps: number;
  seed: number;
  workers: number;
  small: boolean;
  /** Options of the coordinator that are the same in both runs. */
  method: readonly string[];
  data: string;
  /** A declared compute pace, milliseconds a micro-batch; 0: none. */
  leafMs: number;
  counts: FaultCounts;
  network: { delayMs: number; loss: number; congestion: string | null } | null;
  partitionMs: number;
  trace: readonly number[] | null;
  tickMs: number;
  quietRun: string | null;
  out: string | null;
  onlySchedule: boolean;
  pace: boolean;
  json: boolean;
}

/** Workers of a trace that are started on one machine at most. */
const traceMost = 64;

const text = (preset: string) => ({ type: 'string', default: preset }) as const;
const flag = { type: 'boolean', default: false } as const;

function numberOf(name: string, value: string, least: number, most: number): number {
  const number = Number(value);
  if (value !== '' && number >= least && number <= most) return number;
  throw new Error(`--${name} takes a number from ${least} to ${most}; found "${value}".`);
}

function wholeOf(name: string, value: string, least: number, most: number): number {
  const number = numberOf(name, value, least, most);
  if (Number.isInteger(number)) return number;
  throw new Error(`--${name} takes a whole number; found "${value}".`);
}

/** Worker counts per tick. */
export function traceOf(file: string): number[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`--replay expects a JSON array of worker counts: ${(error as Error).message}`);
  }
  const counts = Array.isArray(value) ? value : [];
  const wrong = counts.findIndex((n) => !Number.isInteger(n) || n < 0 || n > traceMost);
  if (wrong >= 0)
    throw new Error(
      `--replay: entry ${wrong} of ${file} is ${JSON.stringify(counts[wrong])}; expected a whole ` +
        `number of workers from 0 to ${traceMost}. Scale the trace down to what this machine holds.`,
    );
  if (!counts.some((n) => n > 0))
    throw new Error(`--replay expects a JSON array with a worker in it; ${file} has none.`);
  return counts as number[];
}

export function chaosOptions(argv: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      steps: text('40'),
      seed: text('1'),
      workers: text('3'),
      data: text('synthetic:160'),
      model: text('small'),
      size: text(''),
      batch: text(''),
      'micro-batch': text(''),
      precision: text('f32'),
      'checkpoint-every': text('25'),
      leaf: text(''),
      kills: text(''),
      'coordinator-kills': text(''),
      stops: text(''),
      drains: text(''),
      joins: text(''),
      'nats-kills': text(''),
      network: flag,
      delay: text('50'),
      loss: text('0.05'),
      congestion: { type: 'string' },
      partitions: text(''),
      partition: text('20'),
      replay: { type: 'string' },
      tick: text('10'),
      'quiet-run': { type: 'string' },
      out: { type: 'string' },
      schedule: flag,
      pace: flag,
      json: flag,
    },
  });
  const small = values.model === 'small';
  const steps = wholeOf('steps', values.steps, 2, 1e6);
  const preset = (value: string, other: string) => (value === '' ? other : value);
  const times = (name: keyof typeof values, each: number) =>
    wholeOf(name, preset(values[name] as string, `${Math.ceil(steps * each)}`), 0, 1e5);
  const { network } = values;
  const replayed = values.replay !== undefined;
  const count = (name: keyof typeof values, each: number) => times(name, replayed ? 0 : each);
  const method = {
    data: values.data,
    // A name that every build knows; with the small model all names mean the same.
    model: small ? 'resnet18-cifar' : values.model,
    size: preset(values.size, small ? '8' : '64'),
    batch: preset(values.batch, small ? '16' : '128'),
    'micro-batch': preset(values['micro-batch'], small ? '2' : '32'),
    precision: values.precision,
    steps: `${steps}`,
    seed: values.seed,
    'checkpoint-every': values['checkpoint-every'],
  };
  return {
    steps,
    seed: wholeOf('seed', values.seed, 0, 2 ** 32 - 1),
    workers: wholeOf('workers', values.workers, 1, traceMost),
    small,
    method: Object.entries(method).flatMap(([name, value]) => [`--${name}`, value]),
    data: values.data,
    leafMs: numberOf('leaf', preset(values.leaf, small ? '40' : '0'), 0, 3_600_000),
    counts: {
      'kill-worker': count('kills', 0.2),
      'kill-coordinator': count('coordinator-kills', 0.1),
      'stop-worker': count('stops', 0.1),
      'stop-coordinator': replayed ? 0 : Math.ceil(times('stops', 0.1) / 4),
      'drain-worker': count('drains', 0.05),
      'join-worker': count('joins', 0.05),
      'kill-nats': count('nats-kills', 0),
      partition: network ? count('partitions', 1 / steps) : times('partitions', 0),
    },
    network: network
      ? {
          delayMs: numberOf('delay', values.delay, 0, 10_000),
          loss: numberOf('loss', values.loss, 0, 0.5),
          congestion: values.congestion?.replaceAll(/\W/g, '') ?? null,
        }
      : null,
    partitionMs: 1000 * numberOf('partition', values.partition, 0.1, 3600),
    trace: values.replay === undefined ? null : traceOf(values.replay),
    tickMs: 1000 * numberOf('tick', values.tick, 0.1, 86_400),
    quietRun: values['quiet-run'] ?? null,
    out: values.out ?? null,
    onlySchedule: values.schedule,
    pace: values.pace,
    json: values.json,
  };
}
