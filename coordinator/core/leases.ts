/**
 * Who computes which micro-batch of the open step.
 *
 * A lease is one complete node of the reduce tree: a contiguous, aligned range of leaves that the
 * worker sums itself, so that one gradient travels, not one a leaf. Its size follows the worker's
 * share of the measured speed, and shrinks with what is left, so that all end together.
 */
import type { NodeId } from '../../shared/core/tree.ts';
import { leavesOf } from '../../shared/core/tree.ts';
import type { Effect, State, WorkerState } from './state.ts';
import { liveWorkers, mayTry } from './state.ts';

const leafMsLeast = 0.001;

/** Marks leaves as leased or open. */
export function setLeaves(state: State, node: NodeId, holder: string | null): void {
  const [first, end] = leavesOf(node, state.plan.leaves);
  for (let leaf = first; leaf < end; leaf++) state.leaves[leaf] = holder;
}

/** The leaves that nobody computes and nobody has finished. */
function openLeaves(state: State): boolean[] {
  const open = state.leaves.map((holder) => holder === null);
  for (const { node } of state.finished) {
    const [first, end] = leavesOf(node, state.plan.leaves);
    for (let leaf = first; leaf < end; leaf++) open[leaf] = false;
  }
  return open;
}

/**
 * Leaves that this worker should take at most, by its share of the group's speed; at least 1. Its
 * first lease of a step is its share of the whole step, later ones of what is still open.
 */
function shareOf(worker: WorkerState, state: State, open: number): number {
  const first = !state.finished.some((done) => done.worker === worker.id);
  const left = first ? state.plan.leaves : open;
  const known = liveWorkers(state).flatMap((w) => (w.leafMs === null ? [] : [w.leafMs]));
  const typical = known.length ? known.reduce((a, b) => a + b, 0) / known.length : 1;
  // A clock that did not move between lease and result must not make a speed infinite.
  const speed = (w: WorkerState) => 1 / Math.max(w.leafMs ?? typical, leafMsLeast);
  const total = liveWorkers(state).reduce((sum, w) => sum + speed(w), 0);
  return Math.max(1, Math.floor((left * speed(worker)) / total + 1e-6));
}

/**
 * The largest aligned node of at most `share` open leaves, first from the left; null if none is
 * open. A leaf found not finite is leased alone, and to another worker if there is one; so is a
 * leaf that was handed back, as long as somebody has not tried it.
 */
export function chooseNode(state: State, worker: WorkerState): NodeId | null {
  const open = openLeaves(state);
  const others = liveWorkers(state).some((w) => w.id !== worker.id);
  const alone = (leaf: number) => state.nonFinite[leaf] !== undefined;
  for (let leaf = 0; leaf < open.length; leaf++) {
    if (alone(leaf) && others && state.nonFinite[leaf]?.includes(worker.id)) open[leaf] = false;
    if (!mayTry(state, worker.id, state.handedBack[leaf])) open[leaf] = false;
  }
  const left = open.filter(Boolean).length;
  if (left === 0) return null;
  const share = shareOf(worker, state, left);
  let best: NodeId | null = null;
  let bestCount = 0;
  for (let level = 0; 1 << level <= share; level++) {
    for (let index = 0; index << level < open.length; index++) {
      const [first, end] = leavesOf({ level, index }, open.length);
      const range = Array.from({ length: end - first }, (_, i) => first + i);
      if (!range.every((leaf) => open[leaf])) continue;
      if (range.length > 1 && range.some(alone)) continue;
      // The root is never sent, its two children are: a codec rounds at every node but the root.
      if (range.length > 1 && range.length === open.length) continue;
      if (range.length > bestCount) {
        best = { level, index };
        bestCount = range.length;
      }
    }
  }
  return best;
}

/** Leases of the open step for every idle worker, as effects. */
export function assign(state: State, now: number, effects: Effect[], because: string[]): void {
  for (const worker of liveWorkers(state)) {
    if (worker.lease !== null || worker.survey !== null) continue;
    const node = chooseNode(state, worker);
    if (node === null) continue;
    state.attempts += 1;
    const attempt = state.attempts;
    worker.lease = { node, attempt, since: now };
    setLeaves(state, node, worker.id);
    const [first, end] = leavesOf(node, state.plan.leaves);
    because.push(
      `leased micro-batches ${first}–${end - 1} of step ${state.step} to ${worker.id}: ` +
        `its share of ${liveWorkers(state).length} live workers`,
    );
    effects.push({
      kind: 'lease',
      worker: worker.id,
      step: state.step,
      node,
      attempt,
      gray: [...state.gray],
    });
  }
}

/** Takes back what a worker held or had finished in the open step; returns the moved leaves. */
export function takeBack(state: State, id: string): { first: number; count: number }[] {
  const moved: { first: number; count: number }[] = [];
  const release = (node: NodeId) => {
    setLeaves(state, node, null);
    const [first, end] = leavesOf(node, state.plan.leaves);
    moved.push({ first, count: end - first });
  };
  const worker = state.workers[id];
  if (worker?.lease) {
    release(worker.lease.node);
    worker.lease = null;
  }
  for (const done of state.finished) if (done.worker === id) release(done.node);
  state.finished = state.finished.filter((done) => done.worker !== id);
  return moved;
}
