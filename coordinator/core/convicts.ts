/**
 * Who is convicted: the names that are barred with a worker, and what the shell must know to look at
 * the past again.
 */
import type { Convict, Opinion, State } from './state.ts';
import { liveWorkers } from './state.ts';

/**
 * The names by which a convict is known. One that nobody has named is called after its host and
 * process (`worker/main.ts`) and would come back as another: then it is all such of its host.
 */
export function namesOf(id: string, host: string): string[] {
  const unnamed = id.startsWith(`${host}-`) && /^\d+$/.test(id.slice(host.length + 1));
  return unnamed ? [id, `${host}-*`] : [id];
}

/** A worker, there or gone, whose opinion of a leaf of the open step is wrong. */
export function convictOf(state: State, { worker, host }: Opinion, leaf: number): Convict {
  const neighbours = liveWorkers(state).filter((w) => w.host === host && w.id !== worker);
  const others = neighbours.map(({ id }) => id);
  return { worker, host, leaf, step: state.step, others };
}
