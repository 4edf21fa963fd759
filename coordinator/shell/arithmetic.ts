/**
 * The reducer's hold on the step's arithmetic: hands out memory for buckets, passes commands on, and
 * hears what is made.
 *
 * Who performs them is started with the first step. A slot is taken before its bucket is asked for, so
 * that the bytes leave the network's memory as they come, and is free again when its values are summed
 * or applied; there are more slots than a stack of the deepest tree can hold, so whoever waits for one
 * is always served. What belongs to a step that was given up is known by its number and not listened
 * to.
 */
import { bytesOf } from '../../shared/wire/tensors.ts';
import type { Answer, Command, Reduced, Shared, StepFactors } from './arithmetic-messages.ts';
import type { EarlyWeights } from './early-weights.ts';
import type { ModelState } from './model-state.ts';
import { stepArithmetic } from './step-arithmetic.ts';

/** Memory of one bucket; the thread that sums sees the same. */
export interface Slot {
  readonly slot: number;
  readonly values: Float32Array;
}

export interface Arithmetic {
  /** Nothing of this step is made yet. */
  begin(step: number, factors: StepFactors): void;
  /** A slot that nobody has, or null. */
  take(): Slot | null;
  /** Waits until one may be free. */
  freed(): Promise<void>;
  /** Nothing is to be done with what is in it. */
  give(slot: Slot): void;
  /** It holds a bucket of one node. */
  push(slot: Slot, elements: number): void;
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
  const { architecture, precision } = model;
  const copies = [model.current, model.next] as const;
  const sent = [model.sent.current, model.sent.next] as const;
  const slots = model.slots.map((values, slot): Slot => ({ slot, values }));
  const free = [...slots];
  const waiting: (() => void)[] = [];
  let epoch = 0;
  let finished: { resolve(reduced: Reduced): void; reject(error: Error): void } | null = null;
  let broken: Error | null = null;

  const give = (slot: Slot): void => {
    free.push(slot);
    for (const go of waiting.splice(0)) go();
  };
  const take = (answer: Answer): void => {
    if (answer.kind === 'free') give(slots[answer.slot] as Slot);
    else if (answer.epoch !== epoch) return;
    else if (answer.kind === 'made') early.made(answer.bytes);
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
    performer ??= start(
      { architecture, precision, copies, sent, slots: model.slots, memory: model.memory },
      take,
      failed,
    );
    performer.post(command);
  };

  return {
    begin(step, factors) {
      epoch += 1;
      early.begin(step, model.sent.next, bytesOf(model.next.statistics));
      post({ kind: 'begin', epoch, factors, from: model.current === copies[0] ? 0 : 1 });
    },
    take() {
      if (broken !== null) throw broken;
      return free.pop() ?? null;
    },
    freed: () =>
      free.length > 0 || broken !== null
        ? Promise.resolve()
        : new Promise<void>((resolve) => waiting.push(resolve)),
    give,
    push: ({ slot }, elements) => post({ kind: 'push', slot, elements }),
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
