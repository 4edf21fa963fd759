/**
 * Results at the door: what a worker says it has finished, or could not finish.
 *
 * First result wins. Every result is an opinion on its leaves too, which must equal the others'
 * (`opinions.ts`): if it does not, some machine computes wrongly and the run does not just choose.
 */
import { leavesOf } from '../../shared/core/tree.ts';
import { noteLeaves } from './deadlines.ts';
import { fail } from './fail.ts';
import { cannotSend, finishedLeaves, isWhole, tellMoved, trimLeases } from './leases.ts';
import { expel } from './membership.ts';
import { noteOpinion } from './opinions.ts';
import type { CoreEvent, Effect, FinishedNode, LeafReport, State, WorkerState } from './state.ts';
import { grayMax, handBacksMax, helpingWorkers } from './state.ts';

type Of<K extends CoreEvent['kind']> = Extract<CoreEvent, { kind: K }>;

/** `done` leaves of a lease are finished: what the next one may take follows from it. */
export function takeProgress(
  worker: WorkerState,
  attempt: number,
  done: number,
  now: number,
): void {
  const { lease } = worker;
  if (lease === null || lease.attempt !== attempt) return;
  const known = Math.min(done, lease.end - lease.first);
  if (known <= lease.done) return;
  noteLeaves(worker, known - lease.done, now - lease.progressAt);
  lease.done = known;
  lease.progressAt = now;
}

/** A worker finished a node and holds its gradient until it is pulled. */
export function acceptNode(
  state: State,
  event: Of<'node-ready'>,
  effects: Effect[],
  because: string[],
): void {
  const worker = state.workers[event.worker];
  if (worker === undefined || worker.phase !== 'live') return;
  if (event.generation !== state.plan.generation || event.step !== state.step) {
    because.push(`ignored a result of ${worker.id}: it is of step ${event.step}, not open`);
    return;
  }
  if (!isWhole(event.node, event.leaves, state.plan.leaves)) {
    const message = 'its leaves do not make the node that it names';
    expel(state, worker.id, 'bad-message', message, effects, because);
    return;
  }
  const { leased, check } = endLease(state, worker, event);
  const { phase } = state;
  if (phase !== 'computing' && phase !== 'reducing' && phase !== 'auditing') {
    because.push(`ignored a result of ${worker.id}: every micro-batch of the step is in`);
    return;
  }
  const broken = event.leaves.filter((r) => r.nonFinite);
  // A second computation that is not finite is an opinion like another, and differs from the first.
  if (broken.length > 0 && !check) {
    // Only what was leased: the same message twice is not two findings.
    if (leased && phase === 'computing') nonFinite(state, event, broken, effects, because);
    return;
  }
  for (const report of event.leaves) noteOpinion(state, worker, report);
  if (check || phase !== 'computing') return;
  const { node, leaves } = event;
  accept(state, { node, worker: worker.id, leaves }, effects, because);
}

/** Takes a node into the step, unless a part of it is in already. */
function accept(state: State, done: FinishedNode, effects: Effect[], because: string[]): void {
  const [first, end] = leavesOf(done.node, state.plan.leaves);
  if (finishedLeaves(state).slice(first, end).includes(true)) {
    because.push(`ignored a result of ${done.worker}: micro-batches ${first}–${end - 1} are in`);
    return;
  }
  state.finished.push(done);
  trimLeases(state, effects);
}

/** What workers brought along from an earlier connection, now that the step is open. */
export function takeOffers(state: State, effects: Effect[], because: string[]): void {
  for (const offer of state.offers.splice(0)) {
    const worker = state.workers[offer.worker];
    if (worker === undefined || offer.leaves.some((report) => report.nonFinite)) continue;
    const others = helpingWorkers(state).some(({ id }) => id !== worker.id);
    if (others && cannotSend(state, worker.id)) {
      because.push(`what ${worker.id} brought along is left: its gradients do not arrive`);
      continue;
    }
    for (const report of offer.leaves) noteOpinion(state, worker, report);
    accept(state, offer, effects, because);
    because.push(`${worker.id} brought ${offer.leaves.length} finished micro-batches along`);
  }
}

/** What a result says of the lease it answers: its times, and whether that is over. */
function endLease(
  state: State,
  worker: WorkerState,
  event: Of<'node-ready'>,
): { leased: boolean; check: boolean } {
  const [first, end] = leavesOf(event.node, state.plan.leaves);
  const { lease } = worker;
  if (lease === null || event.attempt !== lease.attempt) return { leased: false, check: false };
  takeProgress(worker, lease.attempt, end - first, event.now);
  worker.handBacks = 0;
  if (end >= lease.end) {
    worker.lease = null;
  } else {
    // A shrunk lease comes in several nodes.
    lease.done = Math.max(0, lease.done - (end - first));
    lease.first = end;
  }
  return { leased: true, check: lease.check };
}

function nonFinite(
  state: State,
  event: Of<'node-ready'>,
  broken: LeafReport[],
  effects: Effect[],
  because: string[],
): void {
  for (const { leaf } of broken) {
    const seen = [...(state.nonFinite[leaf] ?? []), event.worker];
    state.nonFinite[leaf] = seen;
    if (!agreed(state, seen, [])) {
      because.push(
        `micro-batch ${leaf} is not finite at ${event.worker}: computed again elsewhere`,
      );
      effects.push({
        kind: 'event',
        body: {
          kind: 'warning',
          code: 'non-finite',
          message: `micro-batch ${leaf} of step ${state.step} is not finite`,
        },
        because: `${event.worker} found it; it is computed again`,
      });
      continue;
    }
    const who = new Set(seen).size > 1 ? 'two workers agree' : 'twice on the only worker';
    const message =
      `the run diverged: the loss or gradient of micro-batch ${leaf} in step ${state.step} is ` +
      `not finite (${who}). The last checkpoint is kept. Lower --learning-rate, or look at the ` +
      'images of that micro-batch';
    fail(state, 'diverged', message, effects);
    return;
  }
}

/** A worker hands its lease back, with the reason. */
export function leaseFailed(
  state: State,
  event: Of<'lease-failed'>,
  effects: Effect[],
  because: string[],
): void {
  const worker = state.workers[event.worker];
  if (worker === undefined || event.generation !== state.plan.generation) return;
  const again = (failed: string[] | undefined) => [...(failed ?? []), worker.id];
  // Whoever has a result of an audited leaf cannot be asked for it again.
  const answered = worker.lease?.check ? (state.opinions[worker.lease.first] ?? []) : [];
  if (worker.lease && event.step === state.step) {
    const { first, end, check } = worker.lease;
    for (let leaf = first; leaf < end; leaf++)
      state.handedBack[leaf] = again(state.handedBack[leaf]);
    worker.lease = null;
    const moved = check ? [] : [{ first, count: end - first }];
    tellMoved(moved, worker.id, `${worker.id} handed it back: ${event.message}`, effects);
  }
  if (worker.survey && state.survey) {
    const { chunk } = worker.survey;
    state.survey.chunks[chunk] = null;
    state.survey.handedBack[chunk] = again(state.survey.handedBack[chunk]);
    worker.survey = null;
  }
  because.push(`${worker.id} handed its lease back: ${event.message}`);
  if (isNewSuspicion(state, event)) {
    const without = answered.map((opinion) => opinion.worker);
    suspectSample(state, event.sample ?? 0, worker.id, without, event.message, effects);
    return;
  }
  if (event.code === 'sample-unavailable' && event.sample !== null) {
    const seen = [...(state.unavailable[event.sample] ?? []), worker.id];
    state.unavailable[event.sample] = seen;
    if (agreed(state, seen, [])) {
      const message =
        `an image of the sample list cannot be had any more: ${event.message}. Put the file back as ` +
        'it was where the coordinator reads it, then resume the run';
      fail(state, 'sample-unavailable', message, effects);
      return;
    }
  }
  worker.handBacks += 1;
  if (worker.handBacks < handBacksMax) return;
  const message =
    `it handed back ${worker.handBacks} leases in a row without one result; the last reason: ` +
    `${event.message}. Repair that machine, or the data that it reads, and start it again`;
  expel(state, worker.id, 'internal', message, effects, because);
}

/** Undecodable images are bounded by `grayMax`; every other failure counts against its worker. */
function isNewSuspicion(state: State, event: Of<'lease-failed'>): boolean {
  const { code, sample, worker } = event;
  if (code !== 'sample-undecodable' || sample === null || sample >= state.plan.samples)
    return false;
  if (state.gray.includes(sample)) return false;
  return (state.undecodable[sample] ?? []).filter((id) => id === worker).length < 2;
}

/** Two workers found the same, or a lone one twice; nobody else is there but those in `without`. */
function agreed(state: State, seen: readonly string[], without: readonly string[]): boolean {
  const alone = helpingWorkers(state).every((w) => seen.includes(w.id) || without.includes(w.id));
  return seen.length > 1 && (new Set(seen).size > 1 || alone);
}

/** Two workers (or a lone one, twice) that cannot decode a sample make it mid-gray for all. */
function suspectSample(
  state: State,
  sample: number,
  id: string,
  without: readonly string[],
  message: string,
  effects: Effect[],
): void {
  const seen = [...(state.undecodable[sample] ?? []), id];
  state.undecodable[sample] = seen;
  if (!agreed(state, seen, without)) return;
  state.gray.push(sample);
  effects.push({
    kind: 'event',
    // The shell knows the path.
    body: { kind: 'sample-undecodable', sample, path: '' },
    because: `nobody can decode it, so it is mid-gray in every step: ${message}`,
  });
  if (state.gray.length > grayMax) {
    const text = `more than ${grayMax} images cannot be decoded; check the data with other tools`;
    fail(state, 'sample-undecodable', text, effects);
  }
}
