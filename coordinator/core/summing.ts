/**
 * The sum of the open step: when it begins, and when what is summed already counts for nothing.
 *
 * A bucket that is summed stays summed while workers come and go: whoever computes a lost leaf again
 * has the same bits. That holds of workers that are believed. Of one that computed wrongly or sent
 * bytes that are no gradient nothing may stay, even where its nodes were taken back before.
 */
import type { Effect, State } from './state.ts';

/** Every leaf is in: the nodes are pulled and summed, behind what is summed already. */
export function startReducing(state: State, effects: Effect[], because: string[]): void {
  state.phase = 'reducing';
  state.reduceAttempts += 1;
  const nodes = [...state.finished].sort(
    (a, b) => (a.leaves[0]?.leaf ?? 0) - (b.leaves[0]?.leaf ?? 0),
  );
  state.summedFrom = [...new Set([...state.summedFrom, ...nodes.map(({ worker }) => worker)])];
  because.push(`all ${state.plan.leaves} micro-batches of step ${state.step} are in`);
  effects.push({ kind: 'reduce', step: state.step, attempt: state.reduceAttempts, nodes });
}

/** Throws the sum away where a worker that is not believed any more had a part in it. */
export function dropSumOf(state: State, id: string, effects: Effect[], because: string[]): void {
  if (!state.summedFrom.includes(id)) return;
  const { phase } = state;
  if (phase !== 'computing' && phase !== 'reducing' && phase !== 'auditing') return;
  state.summedFrom = [];
  state.phase = 'computing';
  effects.push({ kind: 'discard-reduce' });
  because.push(`what is summed of step ${state.step} counts for nothing: ${id} had a part in it`);
  // What was summed from workers that have gone since is wanted again.
  state.finished = state.finished.filter((done) => state.workers[done.worker] !== undefined);
}
