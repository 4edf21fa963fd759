/**
 * A benchmark's figures, for programs (`--json`) and as a table for people.
 *
 * Ratios point one way: above 1 is better than the peer (faster, less memory). Times in milliseconds
 * and rates in images a second are medians; the interval is that of the paired ratios.
 */
import { bytes, table } from '../../shared/core/format.ts';
import { type BenchCase, caseName } from './cases.ts';
import { type Interval, median, medianInterval, pairedRatios } from './statistics.ts';

/** One object of `cases`. What was not measured is null. */
export interface CaseResult {
  name: string;
  precision: string;
  /** What `tandem`, `peer` and `eager` are: `ms` a step, or images a second (`img/s`). */
  unit: 'ms' | 'img/s';
  tandem: number;
  peer: number | null;
  /** Above 1: faster than the peer. Median of the ratios of each round. */
  ratio: number | null;
  interval: Interval | null;
  /** Peak of the peer ÷ peak of Tandem: above 1 is less memory than the peer. */
  memoryRatio: number | null;
  /** The same step, operation by operation; compute in f32 only. */
  eager: number | null;
  rounds: number;
  /** Peak resident memory of all processes of a side, bytes. */
  memory: { tandem: number | null; peer: number | null };
  /** Compute only. */
  details?: {
    /** Forward and backward alone, without update, ms; and its ratio to the peer's. */
    gradient: number;
    gradientRatio: number | null;
    /** Processor time of a step over all threads, ms; its ratio to the peer's counts spinning. */
    processor: number;
    processorRatio: number | null;
    /** Part of the step that makes the views from pixels, ms; the peer is given finished views. */
    views: number;
    /** Floating-point operations a second of the step ÷ those of large matrix products here. */
    peakShare: number;
    /** Those of large matrix products, a second. */
    peakFlops: number;
    /** The 99th percentile of the step, ms. */
    slowest: number;
    /** By how much resident memory grows a step, bytes; null where the rounds are too few. */
    growth: { slope: number; interval: Interval } | null;
    /** Share of the machine's processor time that other processes took meanwhile, median. */
    others: number;
  };
}

export interface Measured {
  unit: 'ms' | 'img/s';
  tandem: readonly number[];
  peer: readonly number[];
  eager: readonly number[];
  memory: { tandem: number | null; peer: number | null };
  details?: CaseResult['details'];
}

export function caseResult(one: BenchCase, measured: Measured): CaseResult {
  const { unit, tandem, peer, eager, memory, details } = measured;
  const ratios = unit === 'ms' ? pairedRatios(peer, tandem) : pairedRatios(tandem, peer);
  const paired = ratios.length > 0;
  return {
    name: caseName(one),
    precision: one.precision,
    unit,
    tandem: median(tandem),
    peer: paired ? median(peer) : null,
    ratio: paired ? median(ratios) : null,
    interval: paired ? medianInterval(ratios) : null,
    memoryRatio:
      memory.peer === null || memory.tandem === null ? null : memory.peer / memory.tandem,
    eager: eager.length > 0 ? median(eager) : null,
    rounds: tandem.length,
    memory,
    ...(details === undefined ? {} : { details }),
  };
}

const number = (value: number | null, digits = 0): string =>
  value === null ? '—' : value.toFixed(digits);

/** Above this share of the machine in others' hands the figures are not of a quiet machine. */
const othersMax = 0.05;

/** A row a case; what was not measured is a dash. */
export function resultTable(results: readonly CaseResult[]): string {
  const unit = results[0]?.unit ?? 'ms';
  const compute = unit === 'ms';
  const head = [
    'case',
    'precision',
    `Tandem ${unit}`,
    `PyTorch ${unit}`,
    'ratio',
    '95 % interval',
    'memory',
    'memory ratio',
  ];
  const more = ['eager ms', 'of peak'];
  const rows = results.map((one) => [
    one.name,
    one.precision,
    number(one.tandem, compute ? 0 : 1),
    number(one.peer, compute ? 0 : 1),
    number(one.ratio, 3),
    one.interval === null
      ? '—'
      : `${number(one.interval.low, 3)} – ${number(one.interval.high, 3)}`,
    one.memory.tandem === null ? '—' : bytes(one.memory.tandem),
    number(one.memoryRatio, 2),
    ...(compute
      ? [number(one.eager), `${number(100 * (one.details?.peakShare ?? Number.NaN))} %`]
      : []),
  ]);
  const legend = 'Ratios above 1: faster than the peer, less memory than the peer.';
  const others = Math.max(0, ...results.map(({ details }) => details?.others ?? 0));
  const warning =
    others > othersMax
      ? `Other processes took up to ${number(100 * others)} % of the machine: run it alone.\n`
      : '';
  return `${table([[...head, ...(compute ? more : [])], ...rows])}\n${legend}\n${warning}`;
}
