/**
 * What the reducer does to numbers: buckets of nodes come in the order of the reduce plan, and leave
 * as updated weights, momentum and statistics in the second copy of the state, with their hashes.
 *
 * It is a machine of commands and answers, so that it runs in a thread of its own
 * (`arithmetic-thread.ts`) or in line, with the same bits: all memory is shared and each command is
 * finished before the next. Nothing here waits or knows of workers.
 */
import { createHash, type Hash } from 'node:crypto';
import { rateSegments } from '../../shared/core/schedule.ts';
import { updateStatistics } from '../../shared/core/update.ts';
import { loopsOver } from '../../shared/core/vector-loops.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import { bucketElements } from '../../shared/wire/limits.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import type { Answer, Command, Shared, StepFactors } from './arithmetic-messages.ts';
import type { ModelCopy } from './model-state.ts';
import { type Sending, sending } from './sent-weights.ts';

interface Open {
  epoch: number;
  factors: StepFactors;
  current: ModelCopy;
  next: ModelCopy;
  sending: Sending;
  gradient: Hash;
  weights: Hash;
  momentum: Hash;
  /** Moments of both views, divided by S. */
  moments: Float32Array;
}

const notWhole = () => new Error('the reduce plan is not whole');

export function stepArithmetic(shared: Shared, answer: (answer: Answer) => void) {
  const { architecture, precision, copies, slots, memory } = shared;
  const { parameterCount, statisticCount } = architecture;
  const segments = rateSegments(architecture);
  const { addInto, scaleRoot, sgdStep, roundTo } = loopsOver(memory);
  const stack: { slot: number; values: Float32Array }[] = [];
  let open: Open | null = null;

  const pop = () => {
    const top = stack.pop();
    if (top === undefined) throw notWhole();
    return top;
  };
  const clear = () => {
    for (const { slot } of stack.splice(0)) answer({ kind: 'free', slot });
  };

  function apply(step: Open, bucket: number, root: Float32Array): void {
    const { factors, current, next } = step;
    const { leaves, rates, momentumFactor, weightDecay } = factors;
    const first = bucket * bucketElements;
    const end = Math.min(first + root.length, parameterCount);
    scaleRoot(root, leaves);
    for (const { from, to, rate } of segments) {
      const start = Math.max(first, from);
      const stop = Math.min(end, to);
      if (start >= stop) continue;
      sgdStep({
        weights: current.weights.subarray(start, stop),
        momentum: current.momentum.subarray(start, stop),
        gradient: root.subarray(start - first, stop - first),
        nextWeights: next.weights.subarray(start, stop),
        nextMomentum: next.momentum.subarray(start, stop),
        start: 0,
        end: stop - start,
        rate: rates[rate],
        momentumFactor,
        weightDecay,
      });
    }
    if (first < end) {
      const bytes = step.sending.made(next.weights, first, end);
      answer({ kind: 'made', epoch: step.epoch, bytes });
      step.gradient.update(bytesOf(root.subarray(0, end - first)));
      step.weights.update(bytesOf(next.weights.subarray(first, end)));
      step.momentum.update(bytesOf(next.momentum.subarray(first, end)));
    }
    const momentsFrom = Math.max(first, parameterCount);
    if (momentsFrom < first + root.length)
      step.moments.set(root.subarray(momentsFrom - first), momentsFrom - parameterCount);
  }

  function finish({ epoch, current, next, moments, ...hashes }: Open): void {
    updateStatistics({
      statistics: current.statistics,
      view1: moments.subarray(0, statisticCount),
      view2: moments.subarray(statisticCount),
      next: next.statistics,
    });
    // Copies: a worker lost between the last bucket and the seal has all this asked for again.
    const weights = hashes.weights.copy().digest('hex');
    const reduced = {
      gradient: hashes.gradient.copy().digest('hex'),
      weights,
      sent: hashes.sending.digest() ?? weights,
      momentum: hashes.momentum.copy().digest('hex'),
      statistics: sha256Of(bytesOf(next.statistics)),
    };
    answer({ kind: 'finished', epoch, reduced });
  }

  return (command: Command): void => {
    if (command.kind === 'begin') {
      const { epoch, factors, from } = command;
      const to = from === 0 ? 1 : 0;
      clear();
      open = {
        ...{ epoch, factors, current: copies[from], next: copies[to] },
        sending: sending(architecture, precision, shared.sent[to], roundTo),
        gradient: createHash('sha256'),
        weights: createHash('sha256'),
        momentum: createHash('sha256'),
        moments: new Float32Array(2 * statisticCount),
      };
      return;
    }
    if (open === null) throw new Error('no step was begun');
    switch (command.kind) {
      case 'push': {
        const { slot, elements } = command;
        const values = slots[slot]?.subarray(0, elements);
        if (values === undefined) throw new Error(`there is no slot ${slot}`);
        stack.push({ slot, values });
        return;
      }
      case 'add': {
        const right = pop();
        const left = stack.at(-1);
        if (left === undefined) throw notWhole();
        addInto(left.values, right.values);
        answer({ kind: 'free', slot: right.slot });
        return;
      }
      case 'apply': {
        const { slot, values } = pop();
        if (stack.length > 0) throw new Error('the reduce plan does not end in one root');
        apply(open, command.bucket, values);
        answer({ kind: 'free', slot });
        return;
      }
      case 'clear':
        clear();
        return;
      case 'finish':
        finish(open);
        return;
      default:
        return command satisfies never;
    }
  };
}
