/**
 * What any implementation of the compute port is made for, and what it checks at its door.
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Objective } from './objective.ts';

/** One network, one objective. */
export interface Program {
  architecture: Architecture;
  plan: NetworkPlan;
  objective: Objective;
}

export function expectLoaded(parameters: { size: number }): void {
  if (parameters.size > 0) return;
  throw new Failure('internal', 'Expected weights to be loaded before a leaf, found none.');
}

export function expectLength(what: string, values: Float32Array, expected: number): void {
  if (values.length === expected) return;
  throw new Failure(
    'internal',
    `Expected ${expected} ${what}, found ${values.length}: they belong to another model.`,
  );
}
