/**
 * Where the time of a run went: new steps, waiting, steps computed again, no coordinator.
 *
 * Part of the one fold (`summary.ts`), from the phases that events of committed steps carry and from
 * the times of events. What neither tells (indexing data, measuring, checkpoints that held the run
 * up) is the rest.
 */
import type { StepPhases } from './events.ts';

export interface Goodput {
  /** ISO time of the first event, and milliseconds from it to the last one. */
  since: string | null;
  totalMs: number;
  /** Phases of the steps that were committed for the first time, summed. */
  phasesMs: StepPhases;
  /** Steps that a rewind had computed again. */
  againMs: number;
  /** From the last event of one life of the coordinator to the next life's first. */
  downMs: number;
  /** Micro-batches that were given to another worker. */
  movedMicroBatches: number;
  /** The most steps that were ever committed: what lies below is computed again. */
  highestStep: number;
}

export const noPhases: StepPhases = {
  wait: 0,
  lease: 0,
  broadcast: 0,
  compute: 0,
  upload: 0,
  reduce: 0,
  commit: 0,
};

export const phaseNames = Object.keys(noPhases) as (keyof StepPhases)[];

export const noGoodput: Goodput = {
  since: null,
  totalMs: 0,
  phasesMs: noPhases,
  againMs: 0,
  downMs: 0,
  movedMicroBatches: 0,
  highestStep: 0,
};

export const sumPhases = (phases: StepPhases): number =>
  phaseNames.reduce((sum, name) => sum + phases[name], 0);

/** After one more step; `phases` undefined where its event has none. */
export function goodputAfterStep(
  goodput: Goodput,
  step: number,
  phases: StepPhases | undefined,
): Goodput {
  const again = step <= goodput.highestStep;
  const highestStep = Math.max(step, goodput.highestStep);
  if (phases === undefined) return { ...goodput, highestStep };
  if (again) return { ...goodput, againMs: goodput.againMs + sumPhases(phases) };
  const added = phaseNames.map((name) => [name, goodput.phasesMs[name] + (phases[name] ?? 0)]);
  return { ...goodput, highestStep, phasesMs: Object.fromEntries(added) as StepPhases };
}

export interface GoodputPart {
  cause: 'training' | 'waiting' | 'again' | 'down' | 'other';
  /** For people. */
  name: string;
  ms: number;
  /** Of the whole time, in [0, 1]. */
  share: number;
}

/** The whole time by cause; the shares sum to 1 once there is a time. */
export function goodputParts(goodput: Goodput): GoodputPart[] {
  const steps = sumPhases(goodput.phasesMs);
  const { wait } = goodput.phasesMs;
  const { againMs, downMs } = goodput;
  const total = Math.max(goodput.totalMs, steps + againMs + downMs);
  const part = (cause: GoodputPart['cause'], name: string, ms: number): GoodputPart => ({
    cause,
    name,
    ms,
    share: total > 0 ? ms / total : 0,
  });
  return [
    part('training', 'new steps', steps - wait),
    part('waiting', 'waiting for workers', wait),
    part('again', 'steps computed again', againMs),
    part('down', 'no coordinator', downMs),
    part('other', 'opening, measuring, other', total - steps - againMs - downMs),
  ];
}
