/**
 * Stragglers: leases whose time is over, and idle workers that take over from slow ones.
 *
 * Two ways, one rule (the first result wins; a second one must have the same hashes). A lease that
 * shows no progress for longer than its worker's own times explain is overdue: its leaves are open
 * to all. A lease that goes on, but will end long after an idle worker could have done a part of
 * it, gives its end to that worker; of its last leaf the idle one computes a second result.
 */
import { canonical, leavesOf, type NodeId } from '../../shared/core/tree.ts';
import { leafLimitMs, longestLeafMs, silenceLimitMs } from './deadlines.ts';
import {
  cannotSend,
  lease,
  leafMsOf,
  type Moved,
  shrink,
  takeFinished,
  tellMoved,
} from './leases.ts';
import type { Effect, State, WorkerState } from './state.ts';
import { liveWorkers, readyWorkers } from './state.ts';
import { openLateChunks } from './survey.ts';

/** What is taken over must end in this share of the time, or it is not worth a second gradient. */
const worthwhile = 0.8;

/** Finds workers that are silent and leases that are late; what hung on them is open again. */
export function watchDeadlines(
  state: State,
  now: number,
  effects: Effect[],
  because: string[],
): void {
  const training =
    state.phase === 'computing' || state.phase === 'reducing' || state.phase === 'auditing';
  openLateChunks(state, now, longestLeafMs, because);
  for (const worker of liveWorkers(state)) {
    const silent = now - worker.lastHeard;
    const limit = silenceLimitMs(worker, state.plan.silenceMs);
    if (!worker.suspect && silent > limit) {
      worker.suspect = true;
      const why = `${worker.id} was not heard for ${seconds(silent)}, usual is ${seconds(limit)}`;
      because.push(why);
      if (training) suspendWork(state, worker, why, effects);
    }
    const { lease: held } = worker;
    if (!training || held === null || held.overdue || !someoneElse(state, worker)) continue;
    const waited = now - held.progressAt;
    const most = leafLimitMs(worker);
    if (waited <= most) continue;
    const why =
      `${worker.id} finished no micro-batch for ${seconds(waited)}, its own times let expect ` +
      `one in ${seconds(most)}`;
    because.push(why);
    makeOverdue(worker, why, effects);
  }
}

/** Without another worker waiting is all there is. */
const someoneElse = (state: State, worker: WorkerState) =>
  readyWorkers(state).some((other) => other.id !== worker.id);

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

function makeOverdue(worker: WorkerState, because: string, effects: Effect[]): void {
  const { lease: held } = worker;
  if (held === null || held.overdue) return;
  held.overdue = true;
  const moved: Moved[] = held.check ? [] : [{ first: held.first, count: held.end - held.first }];
  tellMoved(moved, worker.id, because, effects);
}

/** A silent worker keeps its connection; what it computes or holds is computed elsewhere too. */
function suspendWork(state: State, worker: WorkerState, because: string, effects: Effect[]): void {
  if (!someoneElse(state, worker)) return;
  makeOverdue(worker, because, effects);
  // What is summed already is not wanted again.
  if (state.phase === 'auditing') return;
  const moved = takeFinished(state, worker.id);
  tellMoved(moved, worker.id, because, effects);
  if (moved.length === 0 || state.phase === 'computing') return;
  state.phase = 'computing';
  effects.push({ kind: 'pause-reduce' });
}

/** Idle workers take over from slow ones, where nothing is open. */
export function speculate(state: State, now: number, effects: Effect[], because: string[]): void {
  for (const thief of readyWorkers(state)) {
    if (thief.lease !== null || thief.survey !== null || cannotSend(state, thief.id)) continue;
    const found = bestTakeover(state, thief, now);
    if (found === null) continue;
    const { victim, node } = found;
    const [first, end] = leavesOf(node, state.plan.leaves);
    const held = victim.lease;
    const begun = held === null ? 0 : held.first + held.done;
    lease(state, thief, node, now, false, effects);
    if (first > begun) shrink(victim, first, effects);
    const why =
      `${thief.id} is idle and takes micro-batches ${first}–${end - 1} over from ${victim.id}, ` +
      'which would need longer';
    because.push(why);
    tellMoved([{ first, count: end - first }], victim.id, why, effects);
  }
}

interface Takeover {
  victim: WorkerState;
  node: NodeId;
}

/** The takeover that ends the slowest lease soonest, or null where none is worthwhile. */
function bestTakeover(state: State, thief: WorkerState, now: number): Takeover | null {
  let slowest: WorkerState | null = null;
  let longest = 0;
  for (const worker of liveWorkers(state)) {
    const { lease: held } = worker;
    if (worker.id === thief.id || held === null || held.overdue || held.check) continue;
    // Its first micro-batch compiles: nothing is known of it yet.
    if (worker.leafMs === null) continue;
    const left = timeLeft(worker, state, now);
    if (left > longest && !doubled(state, worker)) {
      slowest = worker;
      longest = left;
    }
  }
  if (slowest?.lease == null) return null;
  const each = leafMsOf(slowest, state);
  const mine = leafMsOf(thief, state);
  let best: NodeId | null = null;
  let bestEnd = longest * worthwhile;
  for (const node of lastNodes(slowest.lease, state.plan.leaves)) {
    const [first, end] = leavesOf(node, state.plan.leaves);
    const count = end - first;
    const begun = first <= slowest.lease.first + slowest.lease.done;
    // A leaf that is begun already stays where it is too: its first result wins.
    const ends = begun ? count * mine : Math.max(count * mine, longest - count * each);
    if (ends >= bestEnd || failedAt(state, thief.id, first, end)) continue;
    best = node;
    bestEnd = ends;
  }
  return best === null ? null : { victim: slowest, node: best };
}

/** It handed one of these leaves back, or found it not finite: another try would tell nothing new. */
function failedAt(state: State, id: string, first: number, end: number): boolean {
  for (let leaf = first; leaf < end; leaf++)
    if (state.handedBack[leaf]?.includes(id) || state.nonFinite[leaf]?.includes(id)) return true;
  return false;
}

/** Until a lease should end, milliseconds, by its worker's own times. */
function timeLeft(worker: WorkerState, state: State, now: number): number {
  const { lease: held } = worker;
  if (held === null) return 0;
  const each = leafMsOf(worker, state);
  const current = Math.max(0, held.progressAt + each - now);
  return current + (held.end - held.first - held.done - 1) * each;
}

/** Nodes that end where the lease ends and hold no finished leaf of it, smallest first. */
function lastNodes(
  { first, end, done }: { first: number; end: number; done: number },
  leaves: number,
): NodeId[] {
  const nodes: NodeId[] = [];
  for (let level = 0; ; level += 1) {
    const index = (end - 1) >> level;
    const [from, until] = leavesOf({ level, index }, leaves);
    if (until !== end || from < first + done) return nodes;
    if (from === first && level > 0) return nodes;
    nodes.push(canonical({ level, index }, leaves));
    if (from === 0) return nodes;
  }
}

/** Somebody computes a leaf of this lease a second time already. */
function doubled(state: State, worker: WorkerState): boolean {
  const { lease: held } = worker;
  return Object.values(state.workers).some(
    ({ id, lease: other }) =>
      id !== worker.id &&
      held !== null &&
      other !== null &&
      !other.check &&
      !other.overdue &&
      other.first < held.end &&
      held.first < other.end,
  );
}
