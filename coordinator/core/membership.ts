/**
 * Who may take part: joining and leaving. What a worker must prove in between: `admission.ts`.
 */
import type { FailureCode } from '../../shared/core/failures.ts';
import { namesOf } from './convicts.ts';
import { takeBack, tellMoved } from './leases.ts';
import type { CoreEvent, Effect, Plan, State } from './state.ts';
import { releaseSurvey } from './survey.ts';

type Of<K extends CoreEvent['kind']> = Extract<CoreEvent, { kind: K }>;

/** Tells a worker that it may not take part, and everyone why. */
export function refuse(
  worker: string,
  code: FailureCode,
  message: string,
  because: string,
  effects: Effect[],
): void {
  effects.push({ kind: 'refuse', worker, code, message });
  const body = { kind: 'worker-refused', worker, code, message } as const;
  effects.push({ kind: 'event', body, because });
}

/**
 * The newest protocol version that both sides speak, or null. Each side says the newest and the
 * oldest that it knows, so either one may be upgraded before the other.
 */
export function commonProto(
  plan: Pick<Plan, 'protoVersion' | 'protoOldest'>,
  { protoVersion, protoOldest }: { protoVersion: number; protoOldest?: number },
): number | null {
  const common = Math.min(plan.protoVersion, protoVersion);
  const least = Math.max(plan.protoOldest ?? plan.protoVersion, protoOldest || protoVersion);
  return common >= least ? common : null;
}

/** A worker opened its control stream. */
export function connect(
  state: State,
  event: Of<'worker-connected'>,
  effects: Effect[],
  because: string[],
): void {
  const { worker: id } = event;
  const { plan } = state;
  if (commonProto(plan, event) === null) {
    const older = event.protoVersion < plan.protoVersion;
    const message =
      `this coordinator speaks protocol version ${plan.protoVersion}, the worker ` +
      `version ${event.protoVersion}; install the same release of Tandem on both` +
      (older ? '' : ' (upgrade the coordinator first)');
    refuse(id, 'other-proto', message, 'it speaks another protocol version', effects);
    because.push(`refused ${id}: protocol version ${event.protoVersion}`);
    return;
  }
  if (event.identity !== '' && event.identity !== state.identity) {
    const message =
      `this worker served the run with identity ${event.identity.slice(0, 12)}…, and another run ` +
      'is served here; start the worker anew to join it';
    refuse(id, 'other-identity', message, 'it is left over from another run', effects);
    because.push(`refused ${id}: it served another run`);
    return;
  }
  if (namesOf(id, event.host).some((name) => state.convicts.includes(name))) {
    const message =
      'this worker computed wrongly in this run: other workers agreed on another result. Test the ' +
      'machine (memory, GPU), or start the worker with another --name to give it another chance';
    refuse(id, 'quarantined', message, 'it was convicted of computing wrongly', effects);
    because.push(`refused ${id}: it was convicted`);
    return;
  }
  state.workers[id] = {
    id,
    pid: event.pid,
    host: event.host,
    description: event.description,
    phase: 'joining',
    sameClass: true,
    lastHeard: event.now,
    suspect: false,
    draining: false,
    lease: null,
    survey: null,
    leafTimes: [],
    leafMs: null,
    heartbeatGaps: [],
    lastHeartbeat: null,
    handBacks: 0,
  };
  because.push(`${id} asked to join: it runs the canary first`);
  const protoVersion = commonProto(plan, event) ?? plan.protoVersion;
  effects.push({ kind: 'welcome', worker: id, protoVersion });
}

/** Ends a worker's connection, forgets it and opens its leaves for others. */
export function lose(
  state: State,
  id: string,
  reason: string,
  effects: Effect[],
  because: string[],
): void {
  if (state.workers[id] === undefined) return;
  effects.push({ kind: 'disconnect', worker: id, reason });
  forget(state, id, reason, effects, because);
}

/** Turns a worker away for what it sent or does, and says why. */
export function expel(
  state: State,
  id: string,
  code: FailureCode,
  message: string,
  effects: Effect[],
  because: string[],
): void {
  if (state.workers[id] === undefined) return;
  refuse(id, code, message, 'with it the run would not be true, or not go on', effects);
  lose(state, id, message, effects, because);
}

/** As `lose`, its connection left alone: it may be that of the same worker, come back. */
export function forget(
  state: State,
  id: string,
  reason: string,
  effects: Effect[],
  because: string[],
): void {
  const worker = state.workers[id];
  if (worker === undefined) return;
  const { phase } = state;
  const training = phase === 'computing' || phase === 'reducing' || phase === 'auditing';
  // Summed already: its gradient is not needed any more, and the step may still be sealed.
  const moved = training && phase !== 'auditing' ? takeBack(state, id) : [];
  state.offers = state.offers.filter((offer) => offer.worker !== id);
  releaseSurvey(state, id);
  delete state.workers[id];
  if (worker.phase === 'live')
    effects.push({ kind: 'event', body: { kind: 'worker-left', worker: id }, because: reason });
  tellMoved(moved, id, `${id} is gone before their gradient arrived: ${reason}`, effects);
  if (moved.length > 0 && state.phase === 'reducing') {
    state.phase = 'computing';
    effects.push({ kind: 'pause-reduce' });
    because.push(`the reduction waits: ${id} took finished nodes with it`);
  }
  because.push(`lost ${id}: ${reason}`);
}
