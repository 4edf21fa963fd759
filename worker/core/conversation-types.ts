/**
 * The words of the worker's conversation: what it works on, what it hears, what follows.
 *
 * Effects run in the order in which they are listed; those marked *background* come back as events.
 */
import type { FailureCode, Remedy } from '../../shared/core/failures.ts';

export interface LeaseTask {
  kind: 'lease';
  generation: number;
  step: number;
  level: number;
  index: number;
  attempt: number;
  weightsHash: string;
  gray: number[];
}

export interface SurveyTask {
  kind: 'survey';
  /** `features`, or `moments`. */
  work: string;
  generation: number;
  step: number;
  chunk: number;
  chunkSize: number;
  weightsHash: string;
  statisticsHash: string;
  gray: number[];
}

export type Task = LeaseTask | SurveyTask;

export interface LeafReport {
  leaf: number;
  inputHash: string;
  leafHash: string;
  loss: number;
  std: number;
  nonFinite: boolean;
}

/** A finished node: a lease comes in several where it was ended early. */
export interface NodeReport {
  level: number;
  index: number;
  leaves: LeafReport[];
}

export interface Welcome {
  generation: number;
  run: string;
  method: string;
  fingerprint: string;
  samples: number;
  heartbeatMs: number;
  /** The open step. */
  step: number;
  /** Shown on the gradient stream, and when this worker comes back. */
  session: string;
}

export interface ConversationState {
  phase: 'away' | 'joining' | 'proving' | 'ready' | 'working' | 'draining' | 'over';
  generation: number;
  task: Task | null;
  /** Of the last welcome; empty before. */
  session: string;
  /** Coordinators that were lost since the last welcome. */
  failures: number;
}

export type ConversationEvent =
  | { kind: 'connected' }
  | { kind: 'welcomed'; welcome: Welcome }
  | { kind: 'proved'; stages: { name: string; sha256: string }[] }
  | { kind: 'admitted' }
  | { kind: 'tasked'; task: Task }
  | { kind: 'nodes-finished'; task: LeaseTask; nodes: NodeReport[] }
  | { kind: 'features-finished'; task: SurveyTask; features: Uint8Array }
  | { kind: 'task-failed'; task: Task; code: FailureCode; message: string; sample: number | null }
  | { kind: 'step-committed'; generation: number; step: number; weightsHash: string }
  /** The lease `attempt` ends before leaf `end` now. */
  | { kind: 'shrunk'; generation: number; attempt: number; end: number }
  | { kind: 'released' }
  /** `urgent`: now; else once nothing of this worker is needed any more. */
  | { kind: 'stop-requested'; reason: string; urgent: boolean }
  | { kind: 'refused'; code: FailureCode; message: string; remedy: Remedy }
  | { kind: 'run-done'; message: string }
  | { kind: 'disconnected'; reason: string };

export type ConversationEffect =
  | { kind: 'join' }
  /** Background; comes back as `proved`. */
  | { kind: 'prove'; welcome: Welcome }
  | { kind: 'send-ready'; stages: { name: string; sha256: string }[] }
  | { kind: 'open-gradients' }
  /** Background; comes back as a finished or failed task. */
  | { kind: 'work'; task: Task }
  | { kind: 'send-node'; task: LeaseTask; node: NodeReport }
  /** The running lease ends before this leaf; it comes back with what is finished before it. */
  | { kind: 'shorten'; end: number }
  /** Stop computing; what is finished is kept. */
  | { kind: 'stop-work'; reason: string }
  | { kind: 'send-features'; task: SurveyTask; features: Uint8Array }
  | { kind: 'send-failed'; task: Task; code: FailureCode; message: string; sample: number | null }
  /** Forget the nodes of this step and before; the next weights may be pulled. */
  | { kind: 'forget'; step: number; weightsHash: string }
  /** Forget the nodes of other steps; whatever is computed now is wanted by nobody. */
  | { kind: 'forget-others'; step: number }
  /** `turnedAway`: another run is served there; that changes seldom. */
  | { kind: 'reconnect'; failures: number; reason: string; turnedAway?: boolean }
  | { kind: 'send-leave'; reason: string; draining: boolean }
  | { kind: 'end'; failure: { code: FailureCode; message: string } | null; message: string };
