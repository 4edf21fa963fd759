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

/**
 * Wall milliseconds of a step by what the coordinator was doing or waiting for. Each instant counts
 * once, so they sum to the time since the step before (or since the run opened).
 */
export interface StepPhases {
  /** No live worker, or too few; a measure before the first step. */
  wait: number;
  /** Workers are there and none has a lease. */
  lease: number;
  /** All workers that have a lease still fetch weights. */
  broadcast: number;
  compute: number;
  /** All results are in; the coordinator waits for gradient bytes. */
  upload: number;
  /** The coordinator sums, updates and hashes. */
  reduce: number;
  /** From the seal to the event: fence, ledger, fsync. */
  commit: number;
}

/** What one worker did in one step; times are milliseconds since the step began. */
export interface StepWork {
  worker: string;
  /** Micro-batches whose results were accepted. */
  microBatches: number;
  /** First lease, last result. */
  fromMs: number;
  toMs: number;
  /** Time with a lease that led to a result. */
  busyMs: number;
  /** Bytes of gradients that it was asked for. */
  bytes: number;
}

/** Rows of `work` in one event: those with the most micro-batches. */
export const workRowsMax = 64;

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
      /** Absent in earlier releases, which knew SimSiam alone. */
      objective?: string;
      outputWidth: number;
      data: string;
    }
  | { kind: 'worker-joined'; worker: string; pid: number; host: string; device: string }
  | { kind: 'worker-left'; worker: string }
  | { kind: 'worker-refused'; worker: string; code: string; message: string }
  /** Micro-batches [first, first + count) were taken from one worker and wait for another. */
  | { kind: 'lease-moved'; first: number; count: number; from: string }
  /** A worker computed a micro-batch of the open step wrongly: it takes no part any more. */
  | { kind: 'worker-convicted'; worker: string; host: string; leaf: number }
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
      /** How many of them those were; absent where none was. */
      audited?: number;
      /** Hash of the ledger's record. */
      record: string;
      /** Absent where only the ledger tells of the step. */
      phasesMs?: StepPhases;
      work?: StepWork[];
    }
  | { kind: 'checkpoint-saved'; checkpoint: string; digest: string; bytes: number }
  | { kind: 'rewound'; from: number; to: number; source: string }
  | {
      kind: 'knn-measured';
      accuracy: number;
      standardError: number;
      queries: number;
      references: number;
      /** Per-channel std of f/‖f‖ of the features measured, times √d: 1 healthy, 0 collapsed. */
      stdRatio?: number;
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

const alarmingKinds: ReadonlySet<EventKind> = new Set<EventKind>([
  'warning',
  'worker-left',
  'worker-refused',
  'worker-convicted',
  'branch-set-aside',
  'sample-undecodable',
  'lease-moved',
  'rewound',
  'run-failed',
]);

/** Does somebody who watches want to see at a glance that this happened? */
export const isAlarming = (event: RunEvent): boolean => alarmingKinds.has(event.kind);
