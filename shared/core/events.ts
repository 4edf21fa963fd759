/**
 * Events: what happened in a run, for people and programs that watch it.
 *
 * A closed union, versioned by `eventsVersion`. The coordinator writes each event to
 * `events.jsonl` before anyone sees it; `seq` counts from 1 without gaps over the whole life of
 * the run folder. Nothing in training ever reads an event to decide a number.
 */

export const eventsVersion = 1;

export interface EventStamp {
  seq: number;
  /** ISO 8601, UTC, milliseconds. */
  time: string;
  /** Steps committed so far; of `step-committed`, with this one. */
  step: number;
  /** Why this happened, as a sentence. */
  because: string;
}

export type EventBody =
  | {
      kind: 'run-opened';
      version: number;
      run: string;
      generation: number;
      totalSteps: number;
      stopAt: number | null;
      images: number;
      batch: number;
      microBatch: number;
      model: string;
      outputWidth: number;
      data: string;
    }
  | { kind: 'worker-joined'; worker: string; pid: number; host: string; device: string }
  | { kind: 'worker-left'; worker: string }
  | { kind: 'worker-refused'; worker: string; code: string; message: string }
  /** Micro-batches [first, first + count) were taken from one worker and wait for another. */
  | { kind: 'lease-moved'; first: number; count: number; from: string }
  /** A worker computed a micro-batch of the open step wrongly: it takes no part any more. */
  | { kind: 'worker-convicted'; worker: string; leaf: number }
  /** Records [first, first + count) of a convict's branch left the ledger for another file. */
  | { kind: 'branch-set-aside'; first: number; count: number; file: string; worker: string }
  | { kind: 'sample-undecodable'; sample: number; path: string }
  | {
      kind: 'step-committed';
      /** Epochs finished by the end of this step, a fraction. */
      epoch: number;
      loss: number;
      /** Per-channel std of z/‖z‖; healthy near 1/√outputWidth. */
      std: number;
      learningRate: number;
      /** Images a second over this step. */
      imagesPerSecond: number;
      /** Live workers at the commit. */
      workers: number;
      /** Whose sums the step is made of; absent where only the ledger is left to tell of it. */
      shares?: readonly { worker: string; first: number; count: number }[];
      /** Share of the micro-batches that two workers had to agree on. */
      audit?: number;
      /** Hash of the ledger's record. */
      record: string;
    }
  | { kind: 'checkpoint-saved'; checkpoint: string; digest: string; bytes: number }
  | { kind: 'rewound'; from: number; to: number; source: string }
  | {
      kind: 'knn-measured';
      accuracy: number;
      standardError: number;
      queries: number;
      references: number;
    }
  | { kind: 'warning'; code: string; message: string }
  | { kind: 'run-failed'; code: string; message: string }
  | {
      kind: 'run-done';
      /** True when it stopped early (`--stop-at`, Ctrl-C) and can go on. */
      stopped: boolean;
      loss: number;
      std: number;
      digest: string;
      checkpoint: string;
    };

export type RunEvent = EventStamp & EventBody;
export type EventKind = EventBody['kind'];
