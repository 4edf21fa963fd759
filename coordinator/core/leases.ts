/**
 * Who computes which micro-batch of the open step.
 *
 * A lease is one complete node of the reduce tree: a contiguous, aligned range of leaves that the
 * worker sums itself, so that one gradient travels, not one a leaf. Its size follows the worker's
 * share of the measured speed, and shrinks with what is left, so that all end together. Where that
 * fails, `speculation.ts` takes over.
 */
import type { NodeId } from '../../shared/core/tree.ts';
import { isNode, leavesOf, rootOf } from '../../shared/core/tree.ts';
import { median } from './deadlines.ts';
import type { Effect, Lease, LeafReport, State, WorkerState } from './state.ts';
import { brokenPullsMax, helpingWorkers, liveWorkers, mayTry, readyWorkers } from './state.ts';

const leafMsLeast = 0.001;
/** So many times slower than the others is slow. */
const slowFactor = 3;
/** A slow worker is given work at least in every so many steps. */
const triedEvery = 16;

/** Leaves of the open step that are finished, by number. */
export function finishedLeaves(state: State): boolean[] {
  const done = new Array<boolean>(state.plan.leaves).fill(false);
  for (const { node } of state.finished) {
    const [first, end] = leavesOf(node, state.plan.leaves);
    done.fill(true, first, end);
  }
  return done;
}

/** A node of this tree that may be sent, with one report for each of its leaves in order. */
export function isWhole(node: NodeId, leaves: readonly LeafReport[], count: number): boolean {
  if (!isNode(node, count)) return false;
  // The root is never sent, its two children are.
  if (node.level > 0 && node.level === rootOf(count).level) return false;
  const [first, end] = leavesOf(node, count);
  return leaves.length === end - first && leaves.every((r, i) => r.leaf === first + i);
}

/** The leaves that nobody has finished and nobody computes in time. */
export function openLeaves(state: State): boolean[] {
  const open = finishedLeaves(state).map((done) => !done);
  for (const { lease } of Object.values(state.workers))
    if (lease !== null && !lease.overdue && !lease.check) open.fill(false, lease.first, lease.end);
  return open;
}

/** Its control stream lives, but its gradients do not arrive: what it computes is of no use. */
export const cannotSend = (state: State, id: string): boolean =>
  (state.brokenPulls[id] ?? 0) >= brokenPullsMax;

/** Time of a micro-batch at a worker, milliseconds; unmeasured ones are taken as typical. */
export function leafMsOf(worker: WorkerState, state: State): number {
  if (worker.leafMs !== null) return Math.max(worker.leafMs, leafMsLeast);
  const known = liveWorkers(state).flatMap((w) => (w.leafMs === null ? [] : [w.leafMs]));
  const typical = known.length ? known.reduce((a, b) => a + b, 0) / known.length : 1;
  // A clock that did not move between lease and result must not make a speed infinite.
  return Math.max(typical, leafMsLeast);
}

/**
 * Leaves that this worker should take at most, by its share of the group's speed; at least 1. Its
 * first lease of a step is its share of the whole step, later ones of what is still open.
 */
function shareOf(worker: WorkerState, state: State, open: number): number {
  const first = !state.finished.some((done) => done.worker === worker.id);
  const left = first ? state.plan.leaves : open;
  const speed = (w: WorkerState) => 1 / leafMsOf(w, state);
  // Who is late with its lease is of no help with what is open.
  const total = helpingWorkers(state).reduce((sum, w) => sum + speed(w), 0);
  return Math.max(1, Math.floor((left * speed(worker)) / total + 1e-6));
}

/**
 * A worker several times slower than the others would end its one leaf after they have done the
 * rest: it gets none, but in every `triedEvery`-th step, so that its speed stays known.
 */
function tooSlow(worker: WorkerState, state: State, left: number): boolean {
  const others = helpingWorkers(state).filter((w) => w.id !== worker.id && w.leafMs !== null);
  if (worker.leafMs === null || others.length === 0 || state.step % triedEvery === 0) return false;
  // What another one could not compute may be this one's to do.
  if (Object.keys(state.handedBack).length + Object.keys(state.nonFinite).length > 0) return false;
  const mine = leafMsOf(worker, state);
  const theirs = others.map((w) => leafMsOf(w, state));
  if (mine < slowFactor * median(theirs)) return false;
  const speed = theirs.reduce((sum, ms) => sum + 1 / ms, 0);
  return mine > (0.95 * left) / speed;
}

/**
 * The largest aligned node of at most `share` open leaves, first from the left; null if none is
 * open. A leaf found not finite is leased alone, and to another worker if there is one; so is a
 * leaf that was handed back, as long as somebody has not tried it.
 */
export function chooseNode(state: State, worker: WorkerState): NodeId | null {
  const open = openLeaves(state);
  const others = helpingWorkers(state).some((w) => w.id !== worker.id);
  if (others && cannotSend(state, worker.id)) return null;
  const alone = (leaf: number) => state.nonFinite[leaf] !== undefined;
  for (let leaf = 0; leaf < open.length; leaf++) {
    if (alone(leaf) && others && state.nonFinite[leaf]?.includes(worker.id)) open[leaf] = false;
    if (!mayTry(state, worker.id, state.handedBack[leaf])) open[leaf] = false;
  }
  const left = open.filter(Boolean).length;
  if (left === 0 || tooSlow(worker, state, left)) return null;
  const share = shareOf(worker, state, left);
  let best: NodeId | null = null;
  let bestCount = 0;
  for (let level = 0; 1 << level <= share; level++) {
    for (let index = 0; index << level < open.length; index++) {
      const [first, end] = leavesOf({ level, index }, open.length);
      const count = end - first;
      // The root is never sent, its two children are: a codec rounds at every node but the root.
      if (count <= bestCount || (count > 1 && count === open.length)) continue;
      let free = true;
      for (let leaf = first; leaf < end && free; leaf++)
        free = open[leaf] === true && (count === 1 || !alone(leaf));
      if (!free) continue;
      best = { level, index };
      bestCount = count;
    }
  }
  return best;
}

/** Gives a worker a node of the open step. */
export function lease(
  state: State,
  worker: WorkerState,
  node: NodeId,
  now: number,
  check: boolean,
  effects: Effect[],
): void {
  state.attempts += 1;
  const attempt = state.attempts;
  const [first, end] = leavesOf(node, state.plan.leaves);
  worker.lease = { first, end, attempt, done: 0, progressAt: now, overdue: false, check };
  const gray = [...state.gray];
  effects.push({ kind: 'lease', worker: worker.id, step: state.step, node, attempt, gray });
}

/** Leases of the open step for every idle worker, as effects. */
export function assign(state: State, now: number, effects: Effect[], because: string[]): void {
  for (const worker of readyWorkers(state)) {
    if (worker.lease !== null || worker.survey !== null) continue;
    const node = chooseNode(state, worker);
    if (node === null) continue;
    lease(state, worker, node, now, false, effects);
    const [first, end] = leavesOf(node, state.plan.leaves);
    because.push(
      `leased micro-batches ${first}–${end - 1} of step ${state.step} to ${worker.id}: ` +
        `its share of ${readyWorkers(state).length} workers`,
    );
  }
}

/** Where a finished leaf of somebody else lies in a lease, or its end: it can be whole up to there. */
function wholeUntil(done: readonly boolean[], { first, end }: Lease): number {
  for (let leaf = first; leaf < end; leaf++) if (done[leaf]) return leaf;
  return end;
}

/** Ends a lease before a leaf; the worker is told and, where nothing is left of it, idle. */
export function shrink(worker: WorkerState, end: number, effects: Effect[]): void {
  if (worker.lease === null || end >= worker.lease.end) return;
  worker.lease.end = end;
  effects.push({ kind: 'shrink', worker: worker.id, attempt: worker.lease.attempt, end });
  if (end <= worker.lease.first) worker.lease = null;
}

/** Leases of which others have finished a part cannot be handed in whole: they end before it. */
export function trimLeases(state: State, effects: Effect[]): void {
  const done = finishedLeaves(state);
  for (const worker of liveWorkers(state)) {
    const { lease: held } = worker;
    if (held !== null && !held.check) shrink(worker, wholeUntil(done, held), effects);
  }
}

export interface Moved {
  first: number;
  count: number;
}

/** Takes back what a worker held or had finished in the open step; returns the moved leaves. */
export function takeBack(state: State, id: string): Moved[] {
  const worker = state.workers[id];
  const moved: Moved[] = [];
  if (worker?.lease && !worker.lease.check && !worker.lease.overdue) {
    const { first, end } = worker.lease;
    moved.push({ first, count: end - first });
  }
  if (worker) worker.lease = null;
  return [...moved, ...takeFinished(state, id)];
}

/** As `takeBack`, of finished nodes alone. */
export function takeFinished(state: State, id: string): Moved[] {
  const moved: Moved[] = [];
  for (const { worker, node } of state.finished) {
    if (worker !== id) continue;
    const [first, end] = leavesOf(node, state.plan.leaves);
    moved.push({ first, count: end - first });
  }
  state.finished = state.finished.filter((done) => done.worker !== id);
  return moved;
}

/** Events that tell of moved leaves. */
export function tellMoved(moved: Moved[], from: string, because: string, effects: Effect[]): void {
  for (const { first, count } of moved)
    effects.push({ kind: 'event', body: { kind: 'lease-moved', first, count, from }, because });
}
