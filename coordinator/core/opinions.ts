/**
 * What workers found for the leaves of the open step, and what follows where they disagree.
 *
 * Equality is bytes, by hash. An audited leaf needs two workers that agree; a disputed one a third
 * opinion. Whoever is alone against two that agree computes wrongly: it is convicted, what it did
 * in this step is dropped, and the shell looks which earlier steps it had a part in. With fewer
 * than three workers of the class nobody can be convicted, and the run stops.
 */
import { auditedLeaves } from '../../shared/core/audit.ts';
import { fail } from './fail.ts';
import { lease, takeBack, tellMoved } from './leases.ts';
import { mayCheck, thirdOpinion } from './checkers.ts';
import { convictOf, namesOf } from './convicts.ts';
import { expel } from './membership.ts';
import { dropSumOf } from './summing.ts';
import type { Effect, LeafReport, Opinion, State, WorkerState } from './state.ts';
import { liveWorkers, readyWorkers } from './state.ts';

/** Opinions that are kept of a leaf. */
const opinionsMax = 8;

const same = (a: Opinion, b: Opinion) => a.inputHash === b.inputHash && a.leafHash === b.leafHash;

/** Opinions of a leaf grouped by what they say, the largest group first. */
function groupsOf(opinions: readonly Opinion[]): Opinion[][] {
  const groups: Opinion[][] = [];
  for (const opinion of opinions) {
    const group = groups.find(([first]) => first !== undefined && same(first, opinion));
    if (group) group.push(opinion);
    else groups.push([opinion]);
  }
  return groups.sort((a, b) => b.length - a.length);
}

export function drawAudit(state: State): void {
  const { seed, leaves, audit } = state.plan;
  state.audited = auditedLeaves(seed, state.step, leaves, audit);
  state.disputed = [];
  state.auditWaits = false;
}

/** Keeps what a worker found for a leaf, once; a worker that contradicts itself has two opinions. */
export function noteOpinion(state: State, worker: WorkerState, report: LeafReport): void {
  if (!worker.sameClass) return;
  const { leaf, inputHash, leafHash } = report;
  const opinion = { worker: worker.id, host: worker.host, inputHash, leafHash };
  const known = state.opinions[leaf] ?? [];
  if (known.some((other) => other.worker === worker.id && same(other, opinion))) return;
  if (known.length >= opinionsMax) return;
  state.opinions[leaf] = [...known, opinion];
  if (known.some((other) => !same(other, opinion)) && !state.disputed.includes(leaf))
    state.disputed.push(leaf);
}

export function forgetOpinions(state: State, worker: string): void {
  for (const [leaf, opinions] of Object.entries(state.opinions))
    state.opinions[Number(leaf)] = opinions.filter((opinion) => opinion.worker !== worker);
  state.disputed = state.disputed.filter((leaf) => groupsOf(state.opinions[leaf] ?? []).length > 1);
}

/** Leaves that wait for another opinion before the step may be committed. */
export function unsettledLeaves(state: State): number[] {
  const waiting = state.audited.filter((leaf) => (state.opinions[leaf] ?? []).length < 2);
  const disputed = state.disputed.filter((leaf) => !waiting.includes(leaf));
  return [...waiting, ...disputed].sort((a, b) => a - b);
}

/**
 * Decides every dispute that can be decided. A worker with two answers, or one that stands alone
 * against two that agree, is convicted.
 */
export function settle(state: State, effects: Effect[], because: string[]): void {
  for (const leaf of [...state.disputed]) {
    // The conviction for another leaf may have settled it.
    if (!state.disputed.includes(leaf)) continue;
    const opinions = state.opinions[leaf] ?? [];
    const groups = groupsOf(opinions);
    const [most, next] = groups;
    const guilty = contradicting(opinions) ?? minority(most, next, groups);
    if (guilty === null) {
      if (thirdOpinion(state, leaf) === null && !beingChecked(state, leaf))
        undecidable(state, leaf, effects);
      continue;
    }
    for (const opinion of guilty) convict(state, opinion, leaf, effects, because);
  }
}

/** The first answers of workers that gave two for one leaf, or null. */
function contradicting(opinions: readonly Opinion[]): Opinion[] | null {
  const firstOf = ({ worker }: Opinion) => opinions.findIndex((other) => other.worker === worker);
  const twice = opinions.filter(
    (one, i) => firstOf(one) === i && opinions.filter((o) => o.worker === one.worker).length > 1,
  );
  return twice.length > 0 ? twice : null;
}

function minority(
  most: Opinion[] | undefined,
  next: Opinion[] | undefined,
  groups: Opinion[][],
): Opinion[] | null {
  if (most === undefined || next === undefined || most.length <= next.length) return null;
  return groups.slice(1).flat();
}

const beingChecked = (state: State, leaf: number) =>
  liveWorkers(state).some(
    ({ lease: held }) => held !== null && held.first <= leaf && leaf < held.end && !held.overdue,
  );

function undecidable(state: State, leaf: number, effects: Effect[]): void {
  const [one, other] = state.opinions[leaf] ?? [];
  const what = one?.inputHash === other?.inputHash ? 'gradient' : 'input';
  const message =
    `two results for micro-batch ${leaf} of step ${state.step} differ in their ${what} hash ` +
    `(${one?.worker} and ${other?.worker}): one of these machines computes wrongly or reads other ` +
    'data, and to say which takes a third worker of the class. Nothing of this step was ' +
    'committed; start again with three workers or more';
  fail(state, 'not-deterministic', message, effects);
}

/** Ends a worker's part in the run; the open step is as if it had never been there. */
function convict(
  state: State,
  opinion: Opinion,
  leaf: number,
  effects: Effect[],
  because: string[],
): void {
  const { worker: id, host } = opinion;
  state.convicts.push(...namesOf(id, host));
  const message =
    `${id} computed micro-batch ${leaf} of step ${state.step} wrongly: others agree on another ` +
    'result. Take that machine out and test it (memory, GPU, overclocking)';
  because.push(message);
  effects.push({ kind: 'review', convict: convictOf(state, opinion, leaf) });
  effects.push({
    kind: 'event',
    body: { kind: 'worker-convicted', worker: id, host, leaf },
    because: 'its result stands alone against two that agree, or against its own',
  });
  forgetOpinions(state, id);
  tellMoved(takeBack(state, id), id, `${id} computes wrongly`, effects);
  dropSumOf(state, id, effects, because);
  expel(state, id, 'quarantined', message, effects, because);
}

/** Leases for second and third opinions, to workers that have nothing else to do. */
export function assignChecks(
  state: State,
  now: number,
  effects: Effect[],
  because: string[],
): void {
  const waiting = unsettledLeaves(state);
  if (waiting.length === 0) return;
  for (const worker of readyWorkers(state)) {
    if (worker.lease !== null || worker.survey !== null) continue;
    const leaf = waiting.find((candidate) => {
      const seen = (state.opinions[candidate] ?? []).map((opinion) => opinion.worker);
      // A first opinion comes with the sum; it is not asked for twice.
      return (
        seen.length > 0 && !beingChecked(state, candidate) && mayCheck(state, worker, candidate)
      );
    });
    if (leaf === undefined) continue;
    lease(state, worker, { level: 0, index: leaf }, now, true, effects);
    because.push(`${worker.id} computes micro-batch ${leaf} again: an audit or a dispute`);
  }
  sayWaits(state, waiting, effects);
}

/** Once a step: an audit that nobody can answer waits for another worker, and that is said. */
function sayWaits(state: State, waiting: readonly number[], effects: Effect[]): void {
  if (state.auditWaits || state.phase !== 'auditing') return;
  const stuck = waiting.some(
    (leaf) => thirdOpinion(state, leaf) === null && !beingChecked(state, leaf),
  );
  if (!stuck) return;
  state.auditWaits = true;
  const message =
    `step ${state.step} waits: --audit needs a second worker of the same device class to compute ` +
    'a micro-batch again, and there is none. Start another worker, or resume without --audit';
  effects.push({
    kind: 'event',
    body: { kind: 'warning', code: 'audit', message },
    because: 'an audited step is committed once two workers agree',
  });
}
