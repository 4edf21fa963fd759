/**
 * The messages of proto/tandem/v1 as TypeScript sees them through proto-loader (camel case,
 * numbers for 64-bit fields, Buffers for bytes). The proto files are the source.
 */

export interface CanaryStageMessage {
  name: string;
  sha256: string;
}

export interface LeafReportMessage {
  leaf: number;
  inputHash: string;
  leafHash: string;
  loss: number;
  std: number;
  nonFinite: boolean;
}

export interface JoinMessage {
  protoVersion: number;
  worker: string;
  pid: number;
  host: string;
  description: string;
  identity: string;
  session: string;
  protoOldest: number;
}

export interface NodeReadyMessage {
  generation: number;
  step: number;
  level: number;
  index: number;
  leaves: LeafReportMessage[];
  attempt: number;
}

export interface LeaseFailedMessage {
  generation: number;
  step: number;
  code: string;
  message: string;
  samplePlusOne: number;
}

export interface FeaturesReadyMessage {
  generation: number;
  step: number;
  work: string;
  chunk: number;
  features: Uint8Array;
  crc32: number;
}

export interface HeldNodeMessage {
  step: number;
  level: number;
  index: number;
  weightsHash: string;
  leaves: LeafReportMessage[];
}

export interface ReadyMessage {
  stages: CanaryStageMessage[];
  description: string;
  held: HeldNodeMessage[];
  graph: string;
}

export interface ConverseRequest {
  join?: JoinMessage;
  ready?: ReadyMessage;
  heartbeat?: { state: string; attempt: number; done: number };
  nodeReady?: NodeReadyMessage;
  leaseFailed?: LeaseFailedMessage;
  featuresReady?: FeaturesReadyMessage;
  leave?: { reason: string; draining: boolean };
}

export interface WelcomeMessage {
  generation: number;
  run: string;
  method: string;
  fingerprint: string;
  samples: number;
  heartbeatMs: number;
  /** The open step. */
  step: number;
  session: string;
  protoVersion: number;
}

export interface LeaseMessage {
  generation: number;
  step: number;
  level: number;
  index: number;
  attempt: number;
  weightsHash: string;
  gray: number[];
}

export interface SurveyLeaseMessage {
  generation: number;
  work: string;
  statisticsHash: string;
  step: number;
  chunk: number;
  chunkSize: number;
  weightsHash: string;
  gray: number[];
}

export interface StepCommittedMessage {
  generation: number;
  step: number;
  weightsHash: string;
}

export interface RefusedMessage {
  code: string;
  message: string;
  remedy: string;
}

export interface ConverseResponse {
  welcome?: WelcomeMessage;
  admitted?: { identity: string };
  refused?: RefusedMessage;
  lease?: LeaseMessage;
  surveyLease?: SurveyLeaseMessage;
  stepCommitted?: StepCommittedMessage;
  runDone?: { message: string; stopped?: boolean };
  shrink?: { generation: number; attempt: number; end: number };
  drain?: { reason: string };
  released?: object;
}

export interface BucketWish {
  step: number;
  level: number;
  index: number;
  bucket: number;
}

export interface BucketMessage extends BucketWish {
  data: Uint8Array;
  crc32: number;
}

export interface WeightsChunk {
  offset: number;
  data: Uint8Array;
  crc32: number;
}

export interface WorkerStatus {
  id: string;
  pid: number;
  host: string;
  device: string;
  state: string;
  step: number;
}

export interface RunStatus {
  run: string;
  generation: number;
  /** As in `RunSummary`, or `interrupted` where nobody serves it. */
  state: string;
  step: number;
  totalSteps: number;
  epoch: number;
  /** Null before the first step. */
  loss: number | null;
  std: number | null;
  imagesPerSecond: number | null;
  workers: WorkerStatus[];
}
