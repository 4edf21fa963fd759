/**
 * Where the time of a run under fire went, from `events.jsonl` alone: useful time, and the lost time
 * by cause. On top of the one fold (`summary-goodput.ts`), which tells new steps from waiting, steps
 * computed again and time without a coordinator, it tells what of the new steps was useful.
 *
 * Useful is what an undisturbed step takes: the median of the steps in which nothing happened and
 * all workers were there. A disturbed step is useful up to that; what it took beyond is lost, and
 * counts for what happened in it. The parts sum to the time from the first event to the last one.
 */
import type { RunEvent, StepPhases } from '../../shared/core/events.ts';
import { emptySummary, fold } from '../../shared/core/summary.ts';
import { goodputParts, sumPhases } from '../../shared/core/summary-goodput.ts';

export interface TimePart {
  cause: string;
  ms: number;
  /** Of the whole, in [0, 1]. */
  share: number;
}

export interface ChaosGoodput {
  /** From the first event to the last one. */
  totalMs: number;
  /** Useful time ÷ whole time. */
  goodput: number;
  /** Length of an undisturbed step, milliseconds. */
  usualMs: number;
  undisturbed: number;
  /** The first is the useful time. */
  parts: readonly TimePart[];
}

/** What may make a new step longer than usual, the gravest first. */
const disturbances = [
  ['opened', 'slower steps after a restart of the coordinator'],
  ['moved', 'slower steps: micro-batches computed elsewhere'],
  ['came', 'slower steps: a worker came, left or was missing'],
] as const;

type Disturbance = (typeof disturbances)[number][0];

interface NewStep {
  /** Without the time in which nobody was there. */
  ms: number;
  disturbed: Disturbance | null;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

const workMs = (phases: StepPhases): number => sumPhases(phases) - phases.wait;

/** Steps committed for the first time, each with the gravest thing that happened in it. */
function newSteps(events: readonly RunEvent[], workers: number): NewStep[] {
  const steps: NewStep[] = [];
  let highest = 0;
  let seen = new Set<Disturbance>();
  for (const event of events) {
    if (event.kind === 'run-opened') seen.add('opened');
    if (event.kind === 'lease-moved') seen.add('moved');
    if (event.kind === 'worker-joined' || event.kind === 'worker-left') seen.add('came');
    if (event.kind !== 'step-committed') continue;
    const { step, phasesMs } = event;
    if (event.workers < workers) seen.add('came');
    const disturbed = disturbances.map(([kind]) => kind).find((kind) => seen.has(kind)) ?? null;
    if (step > highest && phasesMs !== undefined) steps.push({ ms: workMs(phasesMs), disturbed });
    highest = Math.max(highest, step);
    seen = new Set();
  }
  return steps;
}

/** The account of a run; `workers`: how many there are while nothing is wrong. */
export function chaosGoodput(events: readonly RunEvent[], workers: number): ChaosGoodput {
  const { goodput } = events.reduce(fold, emptySummary);
  const steps = newSteps(events, workers);
  const calm = steps.filter(({ disturbed }) => disturbed === null);
  const usualMs = median((calm.length > 0 ? calm : steps).map(({ ms }) => ms));
  const beyond = ({ ms, disturbed }: NewStep) =>
    disturbed === null ? 0 : Math.max(0, ms - usualMs);
  const lost = (kind: Disturbance) =>
    steps.filter(({ disturbed }) => disturbed === kind).reduce((sum, s) => sum + beyond(s), 0);
  const slower = disturbances.map(([kind, cause]) => ({ cause, ms: lost(kind) }));
  const fold5 = goodputParts(goodput);
  const of = (cause: (typeof fold5)[number]['cause']) =>
    fold5.find((part) => part.cause === cause)?.ms ?? 0;
  const useful = of('training') - slower.reduce((sum, { ms }) => sum + ms, 0);
  const rows = [
    { cause: 'useful: new steps at the usual pace', ms: useful },
    ...slower,
    { cause: 'no worker, or too few', ms: of('waiting') },
    { cause: 'steps computed again', ms: of('again') },
    { cause: 'no coordinator: its open step, the restart', ms: of('down') },
    { cause: 'opening, checkpoints that were owed, other', ms: of('other') },
  ];
  const totalMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const parts = rows.map((row) => ({ ...row, share: totalMs > 0 ? row.ms / totalMs : 0 }));
  return {
    totalMs,
    goodput: parts[0]?.share ?? 0,
    usualMs,
    undisturbed: calm.length,
    parts,
  };
}

/** As a table for people. */
export function goodputText({ parts, totalMs, usualMs, undisturbed }: ChaosGoodput): string {
  const row = (cause: string, ms: number, share: number) =>
    `  ${cause.padEnd(52)} ${(ms / 1000).toFixed(1).padStart(8)} s ${(100 * share).toFixed(1).padStart(6)} %`;
  return [
    ...parts.map(({ cause, ms, share }) => row(cause, ms, share)),
    row('sum, first event to last', totalMs, 1),
    `  a usual step takes ${(usualMs / 1000).toFixed(2)} s (median of ` +
      `${undisturbed > 0 ? `${undisturbed} undisturbed ones` : 'all: none was undisturbed'})`,
  ].join('\n');
}
