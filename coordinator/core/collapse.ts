/**
 * The collapse monitor: SimSiam can give every image the same projection, which the loss likes and
 * nobody else does. Then the std of z/‖z‖ falls from about 1/√d towards 0, and stays there.
 *
 * It is told once when it has lasted, and again only after the std had recovered. Nothing in
 * training depends on it.
 */
import type { Effect, LeafReport, State } from './state.ts';

/** std·√d below which a step counts as low, and above which it has recovered; healthy is 1. */
const lowRatio = 0.25;
const recoveredRatio = 0.5;
/** Low steps in a row before it is told. */
export const lowStepsMax = 20;

/** Looks at the std of a sealed step. */
export function watchCollapse(state: State, leaves: readonly LeafReport[]): void {
  const { outputWidth } = state.plan;
  if (outputWidth === undefined || leaves.length === 0) return;
  const std = leaves.reduce((sum, leaf) => sum + leaf.std, 0) / leaves.length;
  const ratio = std * Math.sqrt(outputWidth);
  const { lowSteps, told } = state.collapse;
  state.collapse = {
    lowSteps: ratio < lowRatio ? lowSteps + 1 : 0,
    told: told && ratio < recoveredRatio,
    ratio,
  };
}

/** The warning, once the step that makes it true is committed. */
export function tellCollapse(state: State, effects: Effect[]): void {
  const { lowSteps, told, ratio } = state.collapse;
  if (told || lowSteps < lowStepsMax) return;
  state.collapse = { ...state.collapse, told: true };
  effects.push({
    kind: 'event',
    body: {
      kind: 'warning',
      code: 'collapse',
      message:
        `the projections collapse: std·√d has been below ${lowRatio} for ${lowSteps} steps and is ` +
        `${ratio.toFixed(3)} (1 is healthy), so every image gets nearly the same. What usually ` +
        'helps: a lower --learning-rate; a larger --micro-batch, since batch norm sees no more; ' +
        'more varied images',
    },
    because: 'features that are all the same tell nothing, however low the loss is',
  });
}
