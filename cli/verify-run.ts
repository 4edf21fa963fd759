/**
 * `tandem verify`, read from the disk: goes through a run folder once, claim by claim.
 *
 * It needs no photograph and no coordinator. The pure parts decide (`shared/core/verify-*.ts`);
 * this file opens, reads line by line and hands over. The folder is never written. The ledger is
 * read before the events, which are always behind it, so a run may be verified while it trains.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventNumber, readNumberedLines, recordNumber } from '../coordinator/shell/line-parts.ts';
import { readRun, type RunRecord } from '../coordinator/shell/run-folder.ts';
import { architecture } from '../shared/core/architecture.ts';
import { Failure } from '../shared/core/failures.ts';
import { splitOf } from '../shared/core/split.ts';
import { type EventsCheck, eventsCheck } from '../shared/core/verify-events.ts';
import { type LedgerCheck, ledgerCheck } from '../shared/core/verify-ledger.ts';
import { count, plural } from '../shared/core/format.ts';
import { checkpointFault, checkpointsOf } from './verify-checkpoint.ts';
import {
  asideRecords,
  generationsOf,
  graySamples,
  identityFault,
  isTorn,
  sampleHashes,
  toldFault,
} from './verify-files.ts';
import { noFindings, type Proof, reportOf, type VerifyReport } from './verify-report.ts';
import { proveWarmSlots, warmSlotsOf } from './verify-warm.ts';

/** `onStep(done, of)` is called after each record of the ledger. */
export async function verifyRun(
  folder: string,
  signal: AbortSignal,
  onStep: (done: number, of: number) => void,
): Promise<VerifyReport> {
  const run = await readRun(folder);
  if (run === null)
    throw new Failure('run-missing', `${folder} has no run.json: it is not a run folder.`);
  const findings = noFindings();
  const { faults, notes, texts } = findings;
  const stranger = identityFault(run);
  if (stranger !== null) {
    faults.push({ claim: 'identity', step: null, why: stranger });
    return reportOf(folder, run, findings);
  }
  texts.set('identity', 'method, data fingerprint and device class');
  const hashes = await sampleHashes(folder, run);
  if (typeof hashes === 'string') {
    faults.push({ claim: 'samples', step: null, why: hashes });
    return reportOf(folder, run, findings);
  }
  texts.set('samples', `${plural(run.samples, 'file')} give the fingerprint`);
  const { identity } = run;
  if (identity === null) {
    notes.push('no worker has joined this run yet: there is nothing to prove');
    return reportOf(folder, run, findings);
  }
  const [seen, trainingCount] = trainingHashes(hashes, run);
  const proof: Proof = {
    folder,
    run: { ...run, identity, samples: trainingCount },
    live: (await stat(join(folder, 'coordinator.json')).catch(() => null)) !== null,
    checkpoints: await checkpointsOf(folder),
    slots: await warmSlotsOf(folder),
    findings,
    signal,
  };
  const ledger = await proveLedger(proof, seen, onStep);
  // Behind a record that does not hold, everything else could only repeat that.
  const whole = faults.length === 0;
  const events = whole ? await proveEvents(proof, ledger) : null;
  await proveCheckpoints(proof, ledger, whole, events);
  await proveWarmSlots(proof, ledger);
  return reportOf(folder, run, findings);
}

/** Hashes of the images that training sees, and how many they are; held-out ones stand in no step. */
function trainingHashes(hashes: Uint8Array, { method, samples }: RunRecord): [Uint8Array, number] {
  const { training } = splitOf(method.seed, method.validation ?? 0, samples);
  if (training.length === samples) return [hashes, samples];
  const seen = new Uint8Array(32 * training.length);
  training.forEach((sample, place) => {
    seen.set(hashes.subarray(32 * sample, 32 * sample + 32), 32 * place);
  });
  return [seen, training.length];
}

async function proveLedger(
  proof: Proof,
  hashes: Uint8Array,
  onStep: (done: number, of: number) => void,
): Promise<LedgerCheck> {
  const { folder, run, findings, signal } = proof;
  const { method, identity, samples } = run;
  const ends = [...proof.checkpoints, ...proof.slots.map(({ step }) => step)];
  const ledger = ledgerCheck({
    method,
    identity,
    samples,
    hashOf: (sample) => hashes.subarray(32 * sample, 32 * sample + 32),
    gray: await graySamples(folder),
    sha256: (data) => createHash('sha256').update(data).digest('hex'),
    keep: new Set(ends.map((step) => step - 1)),
  });
  const path = join(folder, 'ledger.jsonl');
  for await (const line of readNumberedLines(path, recordNumber)) {
    signal.throwIfAborted();
    const wrong = ledger.see(line);
    if (wrong !== null) {
      findings.faults.push(wrong);
      break;
    }
    onStep(ledger.steps, method.totalSteps);
  }
  if (await isTorn(path))
    findings.notes.push('the last line of ledger.jsonl is torn: a resume cuts it');
  const { steps, leaves, images, grayImages, epochs } = ledger;
  findings.steps = steps;
  const gray = grayImages === 0 ? '' : `, ${count(grayImages)} of them mid-gray`;
  const whole = plural(epochs, 'whole epoch');
  const order =
    `${plural(leaves, 'micro-batch', 'micro-batches')}, each once a step; ` +
    `${plural(images, 'image')}${gray}, each once an epoch (${whole})`;
  findings.texts
    .set('chain', `${plural(steps, 'record')}, each follows the one before`)
    .set('order', order)
    .set('schedule', `learning rates of ${plural(steps, 'step')}`);
  return ledger;
}

async function proveEvents(proof: Proof, ledger: LedgerCheck): Promise<EventsCheck> {
  const { folder, run, live, findings, signal } = proof;
  const lives = await generationsOf(folder);
  if (typeof lives === 'string')
    findings.faults.push({ claim: 'generations', step: null, why: lives });
  else findings.texts.set('generations', plural(lives, 'life', 'lives'));
  const events = eventsCheck({
    method: run.method,
    samples: run.samples,
    steps: ledger.steps,
    at: ledger.at,
    aside: await asideRecords(folder),
    generations: typeof lives === 'string' ? Number.MAX_SAFE_INTEGER : lives,
    live,
  });
  for await (const line of readNumberedLines(join(folder, 'events.jsonl'), eventNumber)) {
    signal.throwIfAborted();
    events.see(line);
  }
  findings.faults.push(...events.end());
  findings.notes.push(...events.notes);
  const { rewinds, again, aside } = events.seen;
  const back =
    rewinds === 0 ? '' : `, ${plural(rewinds, 'rewind')} with ${plural(again, 'step')} told again`;
  const moved = aside === 0 ? '' : `, ${plural(aside, 'record')} moved aside`;
  const text = `${plural(events.seen.events, 'event')} without a gap${back}${moved}`;
  findings.texts.set('events', text);
  return events;
}

async function proveCheckpoints(
  proof: Proof,
  ledger: LedgerCheck,
  whole: boolean,
  events: EventsCheck | null,
): Promise<void> {
  const { folder, run, live, findings, signal } = proof;
  const { identity, method } = run;
  const proven: number[] = [];
  for (const step of proof.checkpoints) {
    signal.throwIfAborted();
    const record = step === 0 ? null : ledger.kept.get(step - 1);
    if (record === undefined) {
      if (!whole || live) continue;
      const why = 'there is a checkpoint of it, and no record in the ledger';
      findings.faults.push({ claim: 'checkpoints', step, why });
      continue;
    }
    const net = architecture(method.model, method.classes?.length);
    const task = { folder, step, architecture: net, identity, record, seed: method.seed };
    const wrong =
      (await checkpointFault(task)) ??
      (await toldFault(folder, step, events?.digests ?? new Map()));
    // While a coordinator lives, retention may remove one that was listed.
    const gone = live && !(await checkpointsOf(folder)).includes(step);
    if (wrong === null) proven.push(step);
    else if (!gone)
      findings.faults.push({
        claim: 'checkpoints',
        step,
        why: `its checkpoint does not hold: ${wrong}`,
      });
  }
  const named = `of step ${proven.join(', ')}: file, manifest and ledger agree`;
  findings.texts.set('checkpoints', proven.length === 0 ? 'none' : named);
}
