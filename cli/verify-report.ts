/**
 * The report of `tandem verify`: a row a claim, the faults, and things to know that break nothing.
 */
import type { RunRecord } from '../coordinator/shell/run-folder.ts';
import { type Claim, claims, type Fault, firstFault } from '../shared/core/verify-claims.ts';

export interface ClaimReport {
  claim: Claim;
  /** Null: it was not looked at, because something before it does not hold. */
  holds: boolean | null;
  /** What was checked, or what does not hold. */
  text: string;
}

export interface VerifyReport {
  run: string;
  identity: string | null;
  /** Steps whose records hold. */
  steps: number;
  totalSteps: number;
  reproducible: boolean;
  claims: ClaimReport[];
  faults: Fault[];
  /** The one to tell; null: everything holds. */
  first: Fault | null;
  notes: string[];
}

/** What the checks find, as they go. */
export interface Findings {
  faults: Fault[];
  notes: string[];
  /** What was looked at, by claim. */
  texts: Map<Claim, string>;
  /** Steps whose records hold. */
  steps: number;
}

export const noFindings = (): Findings => ({ faults: [], notes: [], texts: new Map(), steps: 0 });

function rowOf(claim: Claim, { faults, texts }: Findings): ClaimReport {
  const wrong = firstFault(faults.filter((fault) => fault.claim === claim));
  const text = texts.get(claim);
  if (wrong === null)
    return { claim, holds: text === undefined ? null : true, text: text ?? 'not looked at' };
  return { claim, holds: false, text: wrong.step === null ? wrong.why : `from step ${wrong.step}` };
}

export function reportOf(folder: string, run: RunRecord, findings: Findings): VerifyReport {
  const { faults, notes, steps } = findings;
  return {
    run: folder,
    identity: run.identity,
    steps,
    totalSteps: run.method.totalSteps,
    reproducible: run.reproducible,
    claims: claims.map((claim) => rowOf(claim, findings)),
    faults,
    first: firstFault(faults),
    notes,
  };
}

/** The folder under proof, and what was found in it so far. */
export interface Proof {
  folder: string;
  run: RunRecord & { identity: string };
  /** A coordinator lives, or was killed: files may change while they are read. */
  live: boolean;
  checkpoints: number[];
  /** Warm slots: file within the folder, step as its header says; −1: torn. */
  slots: { file: string; step: number }[];
  findings: Findings;
  signal: AbortSignal;
}
