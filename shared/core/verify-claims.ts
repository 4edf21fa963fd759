/**
 * What `tandem verify` claims of a run folder, and how a claim fails.
 *
 * Each claim is proven from the folder alone. A fault names the claim, the step where it fails
 * first and why; steps are counted as people count them, from 1 (step 0 is the state before any).
 */

export const claims = [
  'identity',
  'samples',
  'chain',
  'order',
  'schedule',
  'events',
  'generations',
  'checkpoints',
  'warm slots',
] as const;
export type Claim = (typeof claims)[number];

export interface Fault {
  claim: Claim;
  /** Steps committed with the one that does not hold; null where no step is at fault. */
  step: number | null;
  why: string;
}

/** The fault to tell first: what no step can be blamed for, then the earliest step. */
export function firstFault(faults: readonly Fault[]): Fault | null {
  const rank = (fault: Fault) => fault.step ?? -1;
  return [...faults].sort((a, b) => rank(a) - rank(b))[0] ?? null;
}

/** `step 13: …`, or the reason alone. */
export const faultText = ({ step, why }: Fault): string =>
  step === null ? why : `step ${step}: ${why}`;
