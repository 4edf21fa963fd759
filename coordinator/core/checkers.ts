/**
 * Who may be asked for another opinion of a leaf: workers of the class that have none, and first
 * those that have not handed it back.
 */
import type { State, WorkerState } from './state.ts';
import { helpingWorkers, liveWorkers } from './state.ts';

const opinionless = (state: State, worker: WorkerState, leaf: number): boolean =>
  worker.sameClass && !(state.opinions[leaf] ?? []).some((opinion) => opinion.worker === worker.id);

/** A worker that could give another opinion of a leaf, whatever it does now; null: nobody is there. */
export function thirdOpinion(state: State, leaf: number): WorkerState | null {
  return liveWorkers(state).find((w) => opinionless(state, w, leaf) && !w.draining) ?? null;
}

/** Whether a worker is the one to ask now. */
export function mayCheck(state: State, worker: WorkerState, leaf: number): boolean {
  if (!opinionless(state, worker, leaf)) return false;
  const failed = state.handedBack[leaf] ?? [];
  if (!failed.includes(worker.id)) return true;
  return helpingWorkers(state).every((w) => failed.includes(w.id) || !opinionless(state, w, leaf));
}
