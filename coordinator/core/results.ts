/**
 * Results at the door: what a worker says it has finished, or could not finish.
 *
 * First result wins. A second result for a leaf must have the same hashes: if it has not, some
 * machine computes wrongly and the run says so instead of choosing.
 */
import { isNode, key, leavesOf } from '../../shared/core/tree.ts';
import { fail } from './fail.ts';
import { setLeaves } from './leases.ts';
import { expel } from './membership.ts';
import type { CoreEvent, Effect, LeafReport, State } from './state.ts';
import { grayMax, handBacksMax, liveWorkers } from './state.ts';

type Of<K extends CoreEvent['kind']> = Extract<CoreEvent, { kind: K }>;

const sameLeaf = (a: LeafReport, b: LeafReport) =>
  a.inputHash === b.inputHash && a.leafHash === b.leafHash;

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
  if (!isWhole(event, state.plan.leaves)) {
    const message = 'its leaves do not make the node that it names';
    expel(state, worker.id, 'bad-message', message, effects, because);
    return;
  }
  const [first, end] = leavesOf(event.node, state.plan.leaves);
  const { lease } = worker;
  const leased = lease !== null && key(lease.node) === key(event.node);
  if (leased) {
    const each = (event.now - lease.since) / (end - first);
    worker.leafMs = worker.leafMs === null ? each : 0.7 * worker.leafMs + 0.3 * each;
    worker.lease = null;
    worker.handBacks = 0;
    // Until it is accepted below; else what nobody has finished waits for another lease.
    setLeaves(state, event.node, null);
  }
  if (state.phase !== 'computing') {
    because.push(`ignored a result of ${worker.id}: every micro-batch of the step is in`);
    return;
  }
  for (const report of event.leaves) {
    const before = state.reports[report.leaf];
    const comparable = worker.sameClass && !state.otherClass.includes(report.leaf);
    if (before !== undefined && comparable && !sameLeaf(before, report)) {
      disagreement(state, worker.id, report, effects);
      return;
    }
  }
  const broken = event.leaves.filter((r) => r.nonFinite);
  if (broken.length > 0) {
    // Only what was leased: the same message twice is not two findings.
    if (leased) nonFinite(state, event, broken, effects, because);
    return;
  }
  const taken = state.finished.some((f) => f.leaves.some((r) => r.leaf >= first && r.leaf < end));
  if (taken) {
    because.push(`ignored a result of ${worker.id}: micro-batches ${first}–${end - 1} are in`);
    return;
  }
  setLeaves(state, event.node, worker.id);
  for (const report of event.leaves) {
    state.reports[report.leaf] = report;
    state.otherClass = state.otherClass.filter((leaf) => leaf !== report.leaf);
    if (!worker.sameClass) state.otherClass.push(report.leaf);
  }
  state.finished.push({ node: event.node, worker: worker.id, leaves: event.leaves });
}

/** A node of this tree, with one report for each of its leaves in order. */
function isWhole({ node, leaves }: Of<'node-ready'>, count: number): boolean {
  if (!isNode(node, count)) return false;
  const [first, end] = leavesOf(node, count);
  return leaves.length === end - first && leaves.every((r, i) => r.leaf === first + i);
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
    if (seen.length < 2) {
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

function disagreement(state: State, id: string, report: LeafReport, effects: Effect[]): void {
  const before = state.reports[report.leaf];
  const what = before?.inputHash === report.inputHash ? 'gradient' : 'input';
  const message =
    `two results for micro-batch ${report.leaf} of step ${state.step} differ in their ${what} ` +
    `hash (the second came from ${id}): one of these machines computes wrongly or reads other ` +
    'data. Nothing of this step was committed';
  fail(state, 'not-deterministic', message, effects);
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
  if (worker.lease && event.step === state.step) {
    const [first, end] = leavesOf(worker.lease.node, state.plan.leaves);
    setLeaves(state, worker.lease.node, null);
    for (let leaf = first; leaf < end; leaf++)
      state.handedBack[leaf] = again(state.handedBack[leaf]);
    worker.lease = null;
    effects.push({
      kind: 'event',
      body: { kind: 'lease-moved', first, count: end - first, from: worker.id },
      because: `${worker.id} handed it back: ${event.message}`,
    });
  }
  if (worker.survey && state.survey) {
    const { chunk } = worker.survey;
    state.survey.chunks[chunk] = null;
    state.survey.handedBack[chunk] = again(state.survey.handedBack[chunk]);
    worker.survey = null;
  }
  because.push(`${worker.id} handed its lease back: ${event.message}`);
  if (isNewSuspicion(state, event)) {
    suspectSample(state, event.sample ?? 0, worker.id, event.message, effects);
    return;
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

/** Two workers (or a lone one, twice) that cannot decode a sample make it mid-gray for all. */
function suspectSample(
  state: State,
  sample: number,
  id: string,
  message: string,
  effects: Effect[],
): void {
  const seen = [...(state.undecodable[sample] ?? []), id];
  state.undecodable[sample] = seen;
  const enough = seen.length > 1 && (new Set(seen).size > 1 || liveWorkers(state).length === 1);
  if (!enough) return;
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
