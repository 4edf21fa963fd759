/**
 * The worker's side of the conversation as a state machine: what comes in, what goes out, and why.
 *
 * A worker does one thing at a time: prove its class, compute a lease, extract features. It holds
 * finished nodes until their step is committed. What belongs to another generation or to a lease
 * that is no longer its own is dropped.
 */
import type { FailureCode, Remedy } from '../../shared/core/failures.ts';
import { unreachable } from '../../shared/core/unreachable.ts';

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
  generation: number;
  step: number;
  chunk: number;
  chunkSize: number;
  weightsHash: string;
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

export interface Welcome {
  generation: number;
  run: string;
  method: string;
  fingerprint: string;
  samples: number;
  heartbeatMs: number;
}

export interface ConversationState {
  phase: 'away' | 'joining' | 'proving' | 'ready' | 'working' | 'over';
  generation: number;
  task: Task | null;
  /** Coordinators that were lost since the last welcome. */
  failures: number;
}

export type ConversationEvent =
  | { kind: 'connected' }
  | { kind: 'welcomed'; welcome: Welcome }
  | { kind: 'proved'; stages: { name: string; sha256: string }[] }
  | { kind: 'admitted' }
  | { kind: 'tasked'; task: Task }
  | { kind: 'node-finished'; task: LeaseTask; leaves: LeafReport[] }
  | { kind: 'features-finished'; task: SurveyTask; features: Uint8Array }
  | { kind: 'task-failed'; task: Task; code: FailureCode; message: string; sample: number | null }
  | { kind: 'step-committed'; generation: number; step: number; weightsHash: string }
  | { kind: 'refused'; code: FailureCode; message: string; remedy: Remedy }
  | { kind: 'run-done'; message: string }
  | { kind: 'disconnected'; reason: string }
  | { kind: 'stop-requested'; reason: string };

export type ConversationEffect =
  | { kind: 'join' }
  /** Background; comes back as `proved`. */
  | { kind: 'prove'; welcome: Welcome }
  | { kind: 'send-ready'; stages: { name: string; sha256: string }[] }
  | { kind: 'open-gradients' }
  /** Background; comes back as a finished or failed task. */
  | { kind: 'work'; task: Task }
  | { kind: 'send-node'; task: LeaseTask; leaves: LeafReport[] }
  | { kind: 'send-features'; task: SurveyTask; features: Uint8Array }
  | { kind: 'send-failed'; task: Task; code: FailureCode; message: string; sample: number | null }
  /** Forget the nodes of this step and before; the next weights may be pulled. */
  | { kind: 'forget'; step: number; weightsHash: string }
  | { kind: 'forget-all' }
  | { kind: 'reconnect'; failures: number; reason: string }
  | { kind: 'send-leave'; reason: string }
  | { kind: 'end'; failure: { code: FailureCode; message: string } | null; message: string };

export interface ConversationTurn {
  state: ConversationState;
  effects: ConversationEffect[];
}

export const beginConversation: ConversationState = {
  phase: 'away',
  generation: 0,
  task: null,
  failures: 0,
};

const sameTask = (a: Task | null, b: Task): boolean =>
  a !== null &&
  a.kind === b.kind &&
  a.generation === b.generation &&
  a.step === b.step &&
  (a.kind === 'lease' && b.kind === 'lease'
    ? a.attempt === b.attempt
    : a.kind === 'survey' && b.kind === 'survey' && a.chunk === b.chunk);

export function converse(state: ConversationState, event: ConversationEvent): ConversationTurn {
  const stay = (effects: ConversationEffect[] = []): ConversationTurn => ({ state, effects });
  if (state.phase === 'over') return stay();
  switch (event.kind) {
    case 'connected':
      return { state: { ...state, phase: 'joining' }, effects: [{ kind: 'join' }] };
    case 'welcomed': {
      const { generation } = event.welcome;
      const next: ConversationState = { phase: 'proving', generation, task: null, failures: 0 };
      return {
        state: next,
        effects: [
          { kind: 'forget-all' },
          // Before the canary, so that it stands long before the first result.
          { kind: 'open-gradients' },
          { kind: 'prove', welcome: event.welcome },
        ],
      };
    }
    case 'proved':
      if (state.phase !== 'proving') return stay();
      return stay([{ kind: 'send-ready', stages: event.stages }]);
    case 'admitted':
      if (state.phase !== 'proving') return stay();
      return { state: { ...state, phase: 'ready' }, effects: [] };
    case 'tasked': {
      const { task } = event;
      if (task.generation !== state.generation || state.phase === 'away') return stay();
      return { state: { ...state, phase: 'working', task }, effects: [{ kind: 'work', task }] };
    }
    case 'node-finished':
      if (!sameTask(state.task, event.task)) return stay();
      return idle(state, [{ ...event, kind: 'send-node' }]);
    case 'features-finished':
      if (!sameTask(state.task, event.task)) return stay();
      return idle(state, [{ ...event, kind: 'send-features' }]);
    case 'task-failed':
      if (!sameTask(state.task, event.task)) return stay();
      return idle(state, [{ ...event, kind: 'send-failed' }]);
    case 'step-committed': {
      if (event.generation !== state.generation) return stay();
      const { step, weightsHash } = event;
      return stay([{ kind: 'forget', step, weightsHash }]);
    }
    case 'refused':
      return refused(state, event);
    case 'run-done':
      return over(state, [{ kind: 'end', failure: null, message: event.message }]);
    case 'disconnected':
      // Away already: it was refused, and one attempt to come back is under way.
      return state.phase === 'away' ? stay() : away(state, event.reason);
    case 'stop-requested': {
      const leave: ConversationEffect[] =
        state.phase === 'away' ? [] : [{ kind: 'send-leave', reason: event.reason }];
      return over(state, [...leave, { kind: 'end', failure: null, message: event.reason }]);
    }
    default:
      return unreachable(event);
  }
}

const idle = (state: ConversationState, effects: ConversationEffect[]): ConversationTurn => ({
  state: { ...state, phase: 'ready', task: null },
  effects,
});

const over = (state: ConversationState, effects: ConversationEffect[]): ConversationTurn => ({
  state: { ...state, phase: 'over', task: null },
  effects,
});

function away(state: ConversationState, reason: string): ConversationTurn {
  const failures = state.failures + 1;
  const next: ConversationState = { ...state, phase: 'away', task: null, failures };
  return { state: next, effects: [{ kind: 'reconnect', failures, reason }] };
}

function refused(
  state: ConversationState,
  event: Extract<ConversationEvent, { kind: 'refused' }>,
): ConversationTurn {
  if (event.remedy !== 'stop') return away(state, event.message);
  const { code, message } = event;
  return over(state, [{ kind: 'end', failure: { code, message }, message }]);
}
