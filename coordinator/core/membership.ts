/**
 * Who may take part: joining, the canary that proves the device class, and leaving.
 */
import type { FailureCode } from '../../shared/core/failures.ts';
import { namesOf } from './convicts.ts';
import { isWhole, takeBack, tellMoved } from './leases.ts';
import type { CanaryStage, CoreEvent, Effect, State } from './state.ts';
import { releaseSurvey } from './survey.ts';

type Of<K extends CoreEvent['kind']> = Extract<CoreEvent, { kind: K }>;

/** Tells a worker that it may not take part, and everyone why. */
function refuse(
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

/** A worker opened its control stream. */
export function connect(
  state: State,
  event: Of<'worker-connected'>,
  effects: Effect[],
  because: string[],
): void {
  const { worker: id } = event;
  const { plan } = state;
  if (event.protoVersion !== plan.protoVersion) {
    const message =
      `this coordinator speaks protocol version ${plan.protoVersion}, the worker ` +
      `version ${event.protoVersion}; install the same release of Tandem on both`;
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
  effects.push({ kind: 'welcome', worker: id });
}

/** The first stage that differs, or null where all are equal. */
function firstDifference(mine: CanaryStage[], theirs: CanaryStage[]): string | null {
  for (const stage of mine) {
    const other = theirs.find((s) => s.name === stage.name);
    if (other?.sha256 !== stage.sha256) return stage.name;
  }
  return mine.length === theirs.length ? null : 'number of stages';
}

/** A worker's canary arrived: the first one defines the class, later ones must equal it. */
export function admit(
  state: State,
  event: Of<'worker-ready'>,
  effects: Effect[],
  because: string[],
): void {
  const worker = state.workers[event.worker];
  if (worker === undefined || worker.phase === 'live') return;
  worker.description = event.description || worker.description;
  if (state.deviceClass === null) {
    state.deviceClass = { stages: event.stages, description: worker.description };
    effects.push({ kind: 'adopt-class', deviceClass: state.deviceClass });
    because.push(`${worker.id} is the first worker: its canary is the run's device class`);
  } else {
    const stage = firstDifference(state.deviceClass.stages, event.stages);
    if (stage !== null && !state.plan.mixedDevices) {
      const message =
        `this machine computes other bits than the run's device class: the canary's stage ` +
        `"${stage}" differs. The run was begun on: ${state.deviceClass.description}. ` +
        `This worker: ${worker.description}. Use machines of one class, or start the run with ` +
        `--mixed-devices and give up its reproducibility`;
      const why = `the canary's stage "${stage}" has another hash`;
      refuse(worker.id, 'other-device-class', message, why, effects);
      because.push(`refused ${worker.id}: canary stage ${stage} differs`);
      delete state.workers[worker.id];
      return;
    }
    if (stage !== null) {
      worker.sameClass = false;
      effects.push({ kind: 'mark-mixed', worker: worker.id });
    }
  }
  worker.phase = 'live';
  effects.push({ kind: 'admit', worker: worker.id });
  effects.push({
    kind: 'event',
    body: {
      kind: 'worker-joined',
      worker: worker.id,
      pid: worker.pid,
      host: worker.host,
      device: worker.description,
    },
    because: worker.sameClass
      ? 'its canary equals the device class of the run'
      : 'its canary differs and mixed devices are allowed: the run is not reproducible',
  });
  for (const { node, leaves } of event.held)
    if (state.offers.length < state.plan.leaves && isWhole(node, leaves, state.plan.leaves))
      state.offers.push({ node, worker: worker.id, leaves });
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
