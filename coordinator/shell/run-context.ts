/**
 * What one life of a coordinator holds: the parts that effects touch and services read.
 */
import type { Config } from '../../shared/core/config.ts';
import type { Sample } from '../../shared/core/sample.ts';
import type { RunSummary } from '../../shared/core/summary.ts';
import type { Dataset } from '../../shared/ports/dataset.ts';
import type { EventPublisher } from '../../shared/adapters/nats-publisher.ts';
import type { Plan } from '../core/state.ts';
import type { Arithmetic } from './arithmetic.ts';
import type { EarlyWeights } from './early-weights.ts';
import type { Door } from './door.ts';
import type { EventLog } from './event-log.ts';
import type { LedgerFile } from './ledger-file.ts';
import type { LossPicture } from './loss-picture.ts';
import type { ModelState } from './model-state.ts';
import type { Review } from './review.ts';
import type { RunRecord } from './run-folder.ts';
import type { StepMeter } from './step-meter.ts';
import type { WorkerLink } from './worker-link.ts';

/** What workers are served from, in a run that trains as in an evaluation. */
export interface Served {
  /** The run's name: the folder's last part. */
  name: string;
  plan: Plan;
  run: RunRecord;
  samples: Sample[];
  dataset: Dataset;
  model: ModelState;
  /** What the open step makes, for workers that fetch it meanwhile. */
  early: EarlyWeights;
  meter: StepMeter;
  door: Door;
  links: Map<string, WorkerLink>;
  /** Samples by content hash; made when the first one is asked for. */
  byHash: Map<string, Sample> | null;
  /** What workers sent of the survey in progress, as `survey-features.ts` lays it out. */
  survey: Float32Array | null;
}

export interface RunContext extends Served {
  folder: string;
  config: Config;
  arithmetic: Arithmetic;
  /** Null until the device class, and with it the identity, is known. */
  ledger: LedgerFile | null;
  events: EventLog;
  picture: LossPicture;
  /** The fold of every event so far. */
  summary: RunSummary;
  publisher: EventPublisher | null;
  /** Committed steps that are computed again after a conviction, or null. */
  review: Review | null;
  /** Settles when the checkpoint that is being written lies there. */
  saving: Promise<unknown>;
}
