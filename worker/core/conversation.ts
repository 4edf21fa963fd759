/**
 * The worker's side of the conversation as a state machine: what comes in, what goes out, and why.
 *
 * A worker does one thing at a time: prove its class, compute a lease, extract features. It holds
 * finished nodes until their step is committed, across connections too, and brings them along when
 * it comes back. What belongs to another generation or to a lease that is no longer its own is
 * dropped. Told to drain, it hands in what it has finished and waits to be let go.
 */
import { leavesOf } from '../../shared/core/tree.ts';
import { unreachable } from '../../shared/core/unreachable.ts';
import type {
  ConversationEffect,
  ConversationEvent,
  ConversationState,
  LeaseTask,
  NodeReport,
  Task,
} from './conversation-types.ts';

export interface ConversationTurn {
  state: ConversationState;
  effects: ConversationEffect[];
}

export const beginConversation: ConversationState = {
  phase: 'away',
  generation: 0,
  task: null,
  session: '',
  failures: 0,
};

const sameTask = (a: Task | null, b: Task): boolean =>
  a !== null &&
  a.kind === b.kind &&
  a.generation === b.generation &&
  a.step === b.step &&
  (a.kind === 'lease' && b.kind === 'lease'
    ? a.attempt === b.attempt
    : a.kind === 'survey' && b.kind === 'survey' && a.work === b.work && a.chunk === b.chunk);

export function converse(state: ConversationState, event: ConversationEvent): ConversationTurn {
  const stay = (effects: ConversationEffect[] = []): ConversationTurn => ({ state, effects });
  if (state.phase === 'over') return stay();
  switch (event.kind) {
    case 'connected':
      return { state: { ...state, phase: 'joining' }, effects: [{ kind: 'join' }] };
    case 'welcomed': {
      const { generation, session } = event.welcome;
      const phase = 'proving';
      const next: ConversationState = { phase, generation, session, task: null, failures: 0 };
      return {
        state: next,
        effects: [
          { kind: 'stop-work', reason: 'the coordinator began anew' },
          { kind: 'forget-others', step: event.welcome.step },
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
      if (task.generation !== state.generation) return stay();
      if (state.phase === 'away' || state.phase === 'draining') return stay();
      return { state: { ...state, phase: 'working', task }, effects: [{ kind: 'work', task }] };
    }
    case 'nodes-finished':
      return nodesFinished(state, event.task, event.nodes);
    case 'features-finished':
      if (!sameTask(state.task, event.task)) return stay();
      return idle(state, [{ ...event, kind: 'send-features' }]);
    case 'task-failed':
      if (!sameTask(state.task, event.task)) return stay();
      return idle(state, [{ ...event, kind: 'send-failed' }]);
    case 'step-committed': {
      if (event.generation !== state.generation) return stay();
      const { step, weightsHash } = event;
      const forget: ConversationEffect = { kind: 'forget', step, weightsHash };
      if (state.phase !== 'working' || state.task === null || state.task.step > step)
        return stay([forget]);
      const reason = `step ${step} is committed`;
      return idle(state, [{ kind: 'stop-work', reason }, forget]);
    }
    case 'shrunk':
      return shrunk(state, event);
    case 'released':
      return over(state, [{ kind: 'end', failure: null, message: 'drained' }]);
    case 'refused':
      return refused(state, event);
    case 'run-done':
      return over(state, [{ kind: 'end', failure: null, message: event.message }]);
    case 'disconnected':
      // Away already: it was refused, and one attempt to come back is under way.
      if (state.phase === 'away') return stay();
      if (state.phase === 'draining')
        return over(state, [{ kind: 'end', failure: null, message: event.reason }]);
      return away(state, event.reason);
    case 'stop-requested':
      return stopRequested(state, event.reason, event.urgent);
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

/** A lease is over: its nodes are handed in, and a draining worker says that these are all. */
function nodesFinished(
  state: ConversationState,
  task: LeaseTask,
  nodes: NodeReport[],
): ConversationTurn {
  if (!sameTask(state.task, task)) return { state, effects: [] };
  const sent = nodes.map((node): ConversationEffect => ({ kind: 'send-node', task, node }));
  if (state.phase !== 'draining') return idle(state, sent);
  const last: ConversationEffect = { kind: 'send-leave', reason: 'draining', draining: true };
  return { state: { ...state, task: null }, effects: [...sent, last] };
}

function shrunk(
  state: ConversationState,
  event: Extract<ConversationEvent, { kind: 'shrunk' }>,
): ConversationTurn {
  const { task } = state;
  const mine =
    task?.kind === 'lease' &&
    task.generation === event.generation &&
    task.attempt === event.attempt;
  if (!mine) return { state, effects: [] };
  const { end } = event;
  if (end > leavesOf(task, Number.MAX_SAFE_INTEGER)[0])
    return { state, effects: [{ kind: 'shorten', end }] };
  const stop: ConversationEffect = { kind: 'stop-work', reason: 'the lease was taken back' };
  if (state.phase === 'draining') return nodesFinished(state, task, []);
  return idle(state, [stop]);
}

/** Leaves in good order: with nothing in hand at once, else when the coordinator says so. */
function stopRequested(
  state: ConversationState,
  reason: string,
  urgent: boolean,
): ConversationTurn {
  const end: ConversationEffect = { kind: 'end', failure: null, message: reason };
  const connected = state.phase !== 'away';
  if (urgent || state.phase === 'joining' || state.phase === 'proving' || !connected) {
    const leave: ConversationEffect[] = connected
      ? [{ kind: 'send-leave', reason, draining: false }]
      : [];
    return over(state, [...leave, end]);
  }
  if (state.phase === 'draining') return { state, effects: [] };
  const next: ConversationState = { ...state, phase: 'draining' };
  // What runs comes back as finished nodes (or none), and the last word follows them.
  if (state.task?.kind === 'lease')
    return { state: next, effects: [{ kind: 'stop-work', reason }] };
  const effects: ConversationEffect[] = [{ kind: 'send-leave', reason, draining: true }];
  if (state.task !== null) effects.unshift({ kind: 'stop-work', reason });
  return { state: { ...next, task: null }, effects };
}

function away(state: ConversationState, reason: string, turnedAway = false): ConversationTurn {
  const failures = state.failures + 1;
  const next: ConversationState = { ...state, phase: 'away', task: null, failures };
  return {
    state: next,
    effects: [{ kind: 'reconnect', failures, reason, ...(turnedAway ? { turnedAway } : {}) }],
  };
}

function refused(
  state: ConversationState,
  event: Extract<ConversationEvent, { kind: 'refused' }>,
): ConversationTurn {
  if (event.remedy !== 'stop' && state.phase !== 'draining')
    return away(state, event.message, event.code === 'other-identity');
  const { code, message } = event;
  return over(state, [{ kind: 'end', failure: { code, message }, message }]);
}
