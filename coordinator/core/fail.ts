/** The one way in which a run fails for good: the event first, then the effect. */
import type { FailureCode } from '../../shared/core/failures.ts';
import type { Effect, State } from './state.ts';

export function fail(state: State, code: FailureCode, message: string, effects: Effect[]): void {
  state.phase = 'failed';
  effects.push({
    kind: 'event',
    body: { kind: 'run-failed', code, message },
    because: 'going on would not be true or not be possible',
  });
  effects.push({ kind: 'fail', code, message });
}
