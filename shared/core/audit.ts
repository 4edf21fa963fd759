/**
 * Which leaves are computed twice on purpose: by address, so that no worker can know or move it.
 *
 * The share is an operation, not a part of the method: it decides what is checked, never a bit of
 * the result.
 */
import { uniform } from './draws.ts';

/** Leaves of a step of S that two workers must agree on, ascending. */
export function auditedLeaves(seed: number, step: number, leaves: number, share: number): number[] {
  if (share <= 0) return [];
  const drawn: number[] = [];
  for (let leaf = 0; leaf < leaves; leaf += 1)
    if (uniform(seed, 'audit', step * leaves + leaf, 0, 0) < share) drawn.push(leaf);
  return drawn;
}
