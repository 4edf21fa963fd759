/**
 * The learning rates of a step (NUMERICS 5): f32 values that the ledger records and a replay reads.
 *
 * The peak is f(base · B / 256). Encoder and projector: linear warm-up, if asked, over the first W
 * steps ((t + 1) / W), then a cosine from step W down to 0 at step T, per step. The predictor keeps
 * the peak throughout (SimSiam, section 4.1).
 */
import type { Architecture } from './architecture-types.ts';
import { cos } from './exact.ts';
import type { Method } from './method.ts';

export type ScheduleMethod = Pick<Method, 'learningRate' | 'batch' | 'warmupSteps' | 'totalSteps'>;

export interface LearningRates {
  /** Encoder and projector; f32 value. */
  base: number;
  /** Predictor; f32 value. */
  predictor: number;
}

/** Learning rates of step `step`, 0-based. */
export function learningRates(method: ScheduleMethod, step: number): LearningRates {
  const { warmupSteps, totalSteps } = method;
  const peak = Math.fround((method.learningRate * method.batch) / 256);
  if (step < warmupSteps) {
    return { base: Math.fround(peak * ((step + 1) / warmupSteps)), predictor: peak };
  }
  if (step >= totalSteps) return { base: 0, predictor: peak };
  const done = (step - warmupSteps) / (totalSteps - warmupSteps);
  const factor = 0.5 * (1 + cos(3.141592653589793 * done));
  return { base: Math.fround(peak * factor), predictor: peak };
}

export interface RateSegment {
  rate: keyof LearningRates;
  /** Elements [from, to) of the flat parameters. */
  from: number;
  to: number;
}

/** Ranges of parameters with one learning rate; some may be empty. */
export function rateSegments({ parameters, parameterCount }: Architecture): RateSegment[] {
  const predictor = parameters.filter(({ name }) => name.startsWith('predictor.'));
  const from = predictor[0]?.offset ?? parameterCount;
  const last = predictor.at(-1);
  const to = last ? last.offset + last.length : parameterCount;
  return [
    { rate: 'base', from: 0, to: from },
    { rate: 'predictor', from, to },
    { rate: 'base', from: to, to: parameterCount },
  ];
}
