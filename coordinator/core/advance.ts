/**
 * The coordinator's state machine: (state, event) → state, effects, and why.
 *
 *   gathering → [surveying →] computing → reducing → [auditing →] committing → computing → …
 *             → closing [→ surveying] → done
 *   gathering → surveying → … → done (an evaluation)
 *
 * Pure: it copies the state it is given and never looks at a clock. A result that comes late, twice
 * or from an older life of the coordinator changes nothing, and the reason is said.
 */
import { unreachable } from '../../shared/core/unreachable.ts';
import { tellCollapse, watchCollapse } from './collapse.ts';
import { fail } from './fail.ts';
import { noteHeartbeat } from './deadlines.ts';
import { assign } from './leases.ts';
import { drained, draining } from './draining.ts';
import { admit } from './admission.ts';
import { connect, expel, forget, lose } from './membership.ts';
import { assignChecks, drawAudit, forgetOpinions, settle, unsettledLeaves } from './opinions.ts';
import { dropSumOf, startReducing } from './summing.ts';
import { acceptNode, leaseFailed, takeOffers, takeProgress } from './results.ts';
import { speculate, watchDeadlines } from './speculation.ts';
import type { CoreEvent, Effect, State, Turn } from './state.ts';
import { copyState, lastStep, liveWorkers } from './state.ts';
import { allExtracted, assignSurvey, finishChunk, monitorIsDue, openSurvey } from './survey.ts';

export function advance(before: State, event: CoreEvent): Turn {
  const state = copyState(before);
  const effects: Effect[] = [];
  const because: string[] = [];
  if (state.phase === 'done' || state.phase === 'failed') return { state, effects, because };
  react(state, event, effects, because);
  proceed(state, event.now, effects, because);
  return { state, effects, because };
}

function react(state: State, event: CoreEvent, effects: Effect[], because: string[]): void {
  const heard = 'worker' in event ? state.workers[event.worker] : undefined;
  if (heard && event.kind !== 'reduce-broken' && event.kind !== 'drain-requested') {
    heard.lastHeard = event.now;
    heard.suspect = false;
  }
  switch (event.kind) {
    case 'worker-connected':
      forget(state, event.worker, 'it joined again', effects, because);
      return connect(state, event, effects, because);
    case 'worker-ready':
      return admit(state, event, effects, because);
    case 'identity-known':
      state.identity = event.identity;
      return;
    case 'worker-lost':
      return lose(state, event.worker, event.reason, effects, because);
    case 'heartbeat':
      if (heard) {
        noteHeartbeat(heard, event.now);
        takeProgress(heard, event.attempt, event.done, event.now);
      }
      return;
    case 'worker-draining':
      return draining(state, event.worker, event.reason, effects, because);
    case 'drain-requested':
      if (state.workers[event.worker]?.draining === false)
        effects.push({ kind: 'drain', worker: event.worker });
      return;
    case 'node-ready':
      return acceptNode(state, event, effects, because);
    case 'lease-failed':
      return leaseFailed(state, event, effects, because);
    case 'features-ready':
      return featuresReady(state, event, effects);
    case 'reduced':
      return reduced(state, event, effects, because);
    case 'reduce-broken':
      return reduceBroken(state, event, effects, because);
    case 'committed':
      return committed(state, event.step, effects, because);
    case 'final-checkpoint-saved':
      return closed(state, effects, because);
    case 'survey-used':
      return surveyUsed(state, effects, because);
    case 'stop-requested':
      state.stopRequested = event.reason;
      because.push(`stop requested: ${event.reason}`);
      return;
    case 'failed':
      return fail(state, event.code, event.message, effects);
    case 'tick':
      return tick(state, event.now, effects, because);
    default:
      unreachable(event);
  }
}

/** What follows from the state alone, whatever the event was. */
function proceed(state: State, now: number, effects: Effect[], because: string[]): void {
  if (state.stopRequested !== null && stopNow(state, effects, because)) return;
  if (state.phase === 'gathering') {
    const live = liveWorkers(state).length;
    if (live < state.plan.minWorkers) return;
    because.push(`${live} of at least ${state.plan.minWorkers} workers are live: the run begins`);
    if (state.plan.surveys === undefined && state.step >= lastStep(state.plan)) {
      close(state, effects);
      return;
    }
    if (state.plan.surveys !== undefined) nextSurvey(state, effects, because);
    else if (state.knnBefore) openSurvey(state, 'train');
    else openStep(state);
  }
  if (state.phase === 'surveying') assignSurvey(state, now, effects);
  if (state.phase === 'computing') takeOffers(state, effects, because);
  settle(state, effects, because);
  if (state.phase === 'computing') {
    if (covered(state)) startReducing(state, effects, because);
    else assign(state, now, effects, because);
  }
  if (state.phase === 'auditing' && unsettledLeaves(state).length === 0)
    seal(state, effects, because);
  const { phase } = state;
  if (phase === 'computing' || phase === 'reducing' || phase === 'auditing')
    assignChecks(state, now, effects, because);
  if (phase === 'computing') speculate(state, now, effects, because);
  drained(state, effects, because);
}

/** A stop asked for while a step is open: its micro-batches are dropped, the step is not. */
function stopNow(state: State, effects: Effect[], because: string[]): boolean {
  const { phase } = state;
  if (phase === 'committing' || phase === 'closing') return false;
  if (phase === 'done' || phase === 'failed') return false;
  if (state.plan.surveys !== undefined) {
    fail(state, 'interrupted', state.stopRequested ?? 'stopped', effects);
    return true;
  }
  if (phase === 'reducing' || phase === 'auditing') effects.push({ kind: 'discard-reduce' });
  because.push(`stopping after ${state.step} steps: ${state.stopRequested}`);
  state.survey = null;
  close(state, effects);
  return true;
}

/** Nothing of the step before is left: no lease, no result, no opinion. */
function clearStep(state: State): void {
  state.finished = [];
  state.opinions = {};
  state.summedFrom = [];
  state.nonFinite = {};
  state.brokenPulls = {};
  state.handedBack = {};
  for (const worker of Object.values(state.workers)) worker.lease = null;
}

function openStep(state: State): void {
  state.phase = 'computing';
  clearStep(state);
  drawAudit(state);
}

function covered(state: State): boolean {
  let leaves = 0;
  for (const done of state.finished) leaves += done.leaves.length;
  return leaves === state.plan.leaves;
}

function reduced(
  state: State,
  { step, attempt }: Extract<CoreEvent, { kind: 'reduced' }>,
  effects: Effect[],
  because: string[],
): void {
  if (state.phase !== 'reducing' || step !== state.step) return;
  if (attempt !== state.reduceAttempts) return;
  const waiting = unsettledLeaves(state);
  if (waiting.length === 0) {
    seal(state, effects, because);
    return;
  }
  state.phase = 'auditing';
  because.push(`step ${step} is summed; ${waiting.length} of its micro-batches are still audited`);
}

/** Nothing was irreversible before this. */
function seal(state: State, effects: Effect[], because: string[]): void {
  state.phase = 'committing';
  because.push(`step ${state.step} is sealed`);
  const leaves = state.finished.flatMap((done) => done.leaves).sort((a, b) => a.leaf - b.leaf);
  const shares = state.finished
    .map((done) => ({
      worker: done.worker,
      first: done.leaves[0]?.leaf ?? 0,
      count: done.leaves.length,
    }))
    .sort((a, b) => a.first - b.first);
  const workers = liveWorkers(state).length;
  watchCollapse(state, leaves);
  effects.push({ kind: 'commit', step: state.step, leaves, workers, shares });
}

function reduceBroken(
  state: State,
  event: Extract<CoreEvent, { kind: 'reduce-broken' }>,
  effects: Effect[],
  because: string[],
): void {
  if (event.step !== state.step) return;
  const { worker, reason } = event;
  if (!event.hostile) {
    // Of an earlier try: the worker may have come back meanwhile, on a connection that is whole.
    if (state.phase !== 'reducing' || event.attempt !== state.reduceAttempts) return;
    state.brokenPulls[worker] = (state.brokenPulls[worker] ?? 0) + 1;
    lose(state, worker, reason, effects, because);
    return;
  }
  // What it claimed is worth as little as its bytes: an honest result must not have to equal it, and
  // the bytes before these are no better.
  forgetOpinions(state, worker);
  expel(state, worker, 'bad-gradient', reason, effects, because);
  dropSumOf(state, worker, effects, because);
}

function committed(state: State, step: number, effects: Effect[], because: string[]): void {
  if (state.phase !== 'committing' || step !== state.step) return;
  state.step = step + 1;
  tellCollapse(state, effects);
  // Brought along while the step was being committed: of no use now.
  state.offers = [];
  because.push(`step ${step} is committed`);
  if (state.step >= lastStep(state.plan) || state.stopRequested !== null) {
    // A check that nobody waits for any more would keep its worker from the last survey.
    clearStep(state);
    close(state, effects);
    return;
  }
  if (state.step % state.plan.checkpointEvery === 0) effects.push({ kind: 'checkpoint' });
  if (monitorIsDue(state.plan, state.step)) {
    clearStep(state);
    openSurvey(state, 'train');
    because.push(`the features of step ${state.step} are measured before training goes on`);
  } else openStep(state);
}

function close(state: State, effects: Effect[]): void {
  state.phase = 'closing';
  effects.push({ kind: 'final-checkpoint' });
}

function closed(state: State, effects: Effect[], because: string[]): void {
  if (state.phase !== 'closing') return;
  const whole = state.step >= state.plan.totalSteps;
  const { plan, stopRequested } = state;
  const asked = plan.knn || (plan.monitorEvery ?? 0) > 0;
  if (whole && asked && stopRequested === null && liveWorkers(state).length > 0) {
    openSurvey(state, 'finish');
    because.push('the last step is committed: the accuracy of the trained network is measured');
    return;
  }
  finish(state, effects);
}

function finish(state: State, effects: Effect[]): void {
  state.phase = 'done';
  const whole = state.step >= state.plan.totalSteps;
  const because = whole
    ? `all ${state.plan.totalSteps} steps are committed`
    : (state.stopRequested ?? `--stop-at ${state.plan.stopAt} is reached`);
  effects.push({ kind: 'finish', stopped: !whole, because });
}

function featuresReady(
  state: State,
  event: Extract<CoreEvent, { kind: 'features-ready' }>,
  effects: Effect[],
): void {
  if (event.generation !== state.plan.generation || event.step !== state.step) return;
  if (state.phase !== 'surveying' || event.work !== state.survey?.work) return;
  if (!finishChunk(state, event.worker, event.chunk)) return;
  effects.push({ kind: 'use-survey', work: event.work });
}

/** The next survey of an evaluation, or its end. */
function nextSurvey(state: State, effects: Effect[], because: string[]): void {
  const next = state.plan.surveys?.[state.surveyed];
  if (next !== undefined) {
    because.push(`the ${next.work} of ${next.images} images are extracted`);
    openSurvey(state, 'next', next);
    return;
  }
  state.phase = 'done';
  effects.push({ kind: 'finish', stopped: false, because: allExtracted });
}

function surveyUsed(state: State, effects: Effect[], because: string[]): void {
  if (state.phase !== 'surveying' || state.survey === null) return;
  const after = state.survey.after;
  state.survey = null;
  state.surveyed += 1;
  if (after === 'next') return nextSurvey(state, effects, because);
  if (after === 'finish') {
    finish(state, effects);
    return;
  }
  state.knnBefore = false;
  openStep(state);
  because.push(`the features of step ${state.step} are measured: training goes on`);
}

function tick(state: State, now: number, effects: Effect[], because: string[]): void {
  for (const worker of Object.values(state.workers)) {
    const silent = now - worker.lastHeard;
    if (silent <= state.plan.silenceMs) continue;
    lose(state, worker.id, `not heard for ${Math.round(silent / 1000)} s`, effects, because);
  }
  watchDeadlines(state, now, effects, because);
}
