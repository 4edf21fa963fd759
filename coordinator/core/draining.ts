/**
 * Leaving in good order: a draining worker gets nothing more, and goes once the step that needs
 * what it finished is sealed.
 */
import { tellMoved } from './leases.ts';
import { forget } from './membership.ts';
import type { Effect, State } from './state.ts';
import { releaseSurvey } from './survey.ts';

/** A worker hands in what it has and takes nothing more. */
export function draining(
  state: State,
  id: string,
  reason: string,
  effects: Effect[],
  because: string[],
): void {
  const worker = state.workers[id];
  if (worker === undefined || worker.draining) return;
  worker.draining = true;
  because.push(`${id} is draining: ${reason}`);
  const { lease } = worker;
  worker.lease = null;
  releaseSurvey(state, id);
  if (lease === null || lease.overdue || lease.check) return;
  const moved = [{ first: lease.first, count: lease.end - lease.first }];
  tellMoved(moved, id, `${id} is draining: ${reason}`, effects);
}

/** Lets draining workers go of which nothing is needed any more. */
export function drained(state: State, effects: Effect[], because: string[]): void {
  for (const worker of Object.values(state.workers)) {
    if (!worker.draining) continue;
    const { phase } = state;
    const open = phase === 'computing' || phase === 'reducing' || phase === 'auditing';
    if (open && state.finished.some((done) => done.worker === worker.id)) continue;
    effects.push({ kind: 'release', worker: worker.id });
    forget(state, worker.id, 'it was drained', effects, because);
  }
}
