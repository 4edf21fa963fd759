/**
 * Which images an evaluation learns from, stops on and measures: a choice is made on other images
 * than those a result is told of.
 *
 * `held-out` measures the images that pre-training did not see (or the last share, by seed, of any
 * data). `training` leaves them alone and measures a share of the rest: sizes, schedules and
 * augmentations are chosen there, so that the held-out images have been looked at once. A probe
 * that stops early may do so on what is measured (SimSiam-TF's protocol, slightly hopeful) or on a
 * share of what it learns from.
 */
import { Failure } from './failures.ts';
import { plural } from './format.ts';
import { splitOf } from './split.ts';

/** Places in the sample list, ascending. */
export interface EvaluationSplit {
  learned: number[];
  /** Whose loss stops a probe; the same as `measured` where nothing is set aside for it. */
  stopped: number[];
  measured: number[];
}

export interface SplitChoice {
  split: 'held-out' | 'training';
  stopOn: 'measured' | 'training';
  share: number;
  seed: number;
}

/** Throws `data-empty` where so few images leave nothing to learn from or nothing to measure. */
export function evaluationSplit(choice: SplitChoice, count: number): EvaluationSplit {
  const split = splitFor(choice, count);
  if (split.learned.length > 0 && split.stopped.length > 0 && split.measured.length > 0)
    return split;
  const parts = [
    choice.split === 'training' ? '--split training' : null,
    choice.stopOn === 'training' ? '--stop-on training' : null,
  ].filter((part) => part !== null);
  const leave = parts.length === 0 ? '' : `, or leave ${parts.join(' and ')} out`;
  throw new Failure(
    'data-empty',
    `an evaluation needs images to learn from and others to measure; of ${plural(count, 'image')} ` +
      `this split leaves ${split.learned.length} to learn from and measures ` +
      `${split.measured.length}. Give more images with --data, or another --validation${leave}`,
  );
}

function splitFor(choice: SplitChoice, count: number): EvaluationSplit {
  const { seed, share } = choice;
  const whole = splitOf(seed, share, count);
  const at = (places: readonly number[], of: readonly number[]) => of.map((i) => places[i]!);
  let { training: learned, heldOut: measured } = whole;
  if (choice.split === 'training') {
    const inner = splitOf(seed, share, learned.length, 'probeSplit');
    measured = at(learned, inner.heldOut);
    learned = at(learned, inner.training);
  }
  if (choice.stopOn === 'measured') return { learned, stopped: measured, measured };
  const inner = splitOf(seed, share, learned.length, 'probeStop');
  return {
    learned: at(learned, inner.training),
    stopped: at(learned, inner.heldOut),
    measured,
  };
}
