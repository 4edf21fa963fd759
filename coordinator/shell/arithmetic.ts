/**
 * The reducer's hold on the step's arithmetic: hands out memory for buckets, passes commands on, and
 * hears what is made.
 *
 * Who performs them is started with the first step. A slot is free again when its values are summed
 * or applied; there are more slots than a stack of the deepest tree can hold, so whoever waits for one
 * is always served. What belongs to a step that was given up is known by its number and not listened
 * to.
 */
import { bucketElements } from '../../shared/wire/limits.ts';
import { copyFloats } from '../../shared/wire/tensors.ts';
import type { EarlyWeights } from './early-weights.ts';
import type { ModelState } from './model-state.ts';
import {
  type Answer,
  type Command,
  type Reduced,
  type Shared,
  type StepFactors,
  stepArithmetic,
} from './step-arithmetic.ts';

/** Slots; a tree of 2^30 leaves would still fit. */
const slotCount = 32;

export interface Arithmetic {
  /** Nothing of this step is made yet. */
  begin(step: number, factors: StepFactors): void;
  /** A bucket of one node. Waits for a free slot; does nothing where the signal aborts meanwhile. */
  push(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** The two pushed last become their sum. */
  add(): void;
  /** What is left is the root of this bucket. */
  apply(bucket: number): void;
  /** Forgets what is pushed and not applied. */
  clear(): void;
  /** When all that was applied is made: the hashes. Can be asked for again. */
  finish(): Promise<Reduced>;
  close(): Promise<void>;
}

/** Who performs commands, in order, and answers. */
export interface Performer {
  post(command: Command): void;
  close(): Promise<void>;
}

export type StartPerformer = (
  shared: Shared,
  answer: (answer: Answer) => void,
  failed: (error: Error) => void,
) => Performer;

/** In the caller's thread, command by command. */
export const inLine: StartPerformer = (shared, answer) => {
  const perform = stepArithmetic(shared, answer);
  return { post: perform, close: async () => undefined };
};

export function arithmetic(
  model: ModelState,
  early: EarlyWeights,
  start: StartPerformer,
): Arithmetic {
  const copies = [model.current, model.next] as const;
  const memory = new SharedArrayBuffer(4 * bucketElements * slotCount);
  const slots = Array.from(
    { length: slotCount },
    (_, i) => new Float32Array(memory, 4 * bucketElements * i, bucketElements),
  );
  const free = slots.map((_, i) => i);
  const waiting: (() => void)[] = [];
  let epoch = 0;
  let finished: { resolve(reduced: Reduced): void; reject(error: Error): void } | null = null;
  let broken: Error | null = null;

  /** Whoever waits next for a slot looks again. */
  const passOn = (): void => waiting.shift()?.();
  const take = (answer: Answer): void => {
    if (answer.kind === 'free') {
      free.push(answer.slot);
      passOn();
    } else if (answer.epoch !== epoch) return;
    else if (answer.kind === 'made') early.made(answer.elements);
    else {
      early.whole();
      finished?.resolve(answer.reduced);
      finished = null;
    }
  };
  const failed = (error: Error): void => {
    broken ??= error;
    finished?.reject(error);
    finished = null;
    for (const go of waiting.splice(0)) go();
  };
  let performer: Performer | null = null;
  const post = (command: Command): void => {
    if (broken !== null) throw broken;
    performer ??= start({ architecture: model.architecture, copies, slots }, take, failed);
    performer.post(command);
  };

  return {
    begin(step, factors) {
      epoch += 1;
      early.begin(step, model.next);
      post({ kind: 'begin', epoch, factors, from: model.current === copies[0] ? 0 : 1 });
    },
    async push(bytes, signal) {
      while (free.length === 0 && broken === null)
        await new Promise<void>((resolve) => waiting.push(resolve));
      // Another try may have begun: its stack is not for this one.
      if (signal.aborted) return passOn();
      const slot = free.pop();
      const values = slot === undefined ? undefined : slots[slot];
      if (slot === undefined || values === undefined) throw broken ?? new Error('no slot is free');
      copyFloats(bytes, values, 0);
      post({ kind: 'push', slot, elements: bytes.length / 4 });
    },
    add: () => post({ kind: 'add' }),
    apply: (bucket) => post({ kind: 'apply', bucket }),
    clear: () => post({ kind: 'clear' }),
    finish: () =>
      new Promise<Reduced>((resolve, reject) => {
        finished = { resolve, reject };
        post({ kind: 'finish' });
      }),
    close: async () => performer?.close(),
  };
}
