/**
 * What any implementation of the compute port is made for, and what it checks at its door.
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import { type Architecture, payloadElements } from '../../shared/core/architecture-types.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { WeightLayout } from '../../shared/core/weight-layout.ts';
import type { Objective } from './objective.ts';

/** One network, one objective. */
export interface Program {
  architecture: Architecture;
  plan: NetworkPlan;
  objective: Objective;
  /** How weights lie in memory. */
  layout: WeightLayout;
}

export function expectLoaded(parameters: { size: number }): void {
  if (parameters.size > 0) return;
  throw new Failure('internal', 'Expected weights to be loaded before a leaf, found none.');
}

/** The labels of a leaf where the objective learns from them, else null. */
export function labelsFor(
  objective: Objective,
  labels: Int32Array | undefined,
  m: number,
): Int32Array | null {
  if (!objective.labelled) return null;
  if (labels?.length === m) return labels;
  const found = labels?.length ?? 'none';
  throw new Failure('internal', `Expected ${m} labels for a labelled objective, found ${found}.`);
}

/** Where the gradient and the moments of a leaf go: what the caller gave, or new memory. */
export function payloadFor(architecture: Architecture, into: Float32Array | undefined) {
  const elements = payloadElements(architecture);
  if (into !== undefined) expectLength('elements of a payload', into, elements);
  return into ?? new Float32Array(elements);
}

export function expectLength(what: string, values: { length: number }, expected: number): void {
  if (values.length === expected) return;
  throw new Failure(
    'internal',
    `Expected ${expected} ${what}, found ${values.length}: they belong to another model.`,
  );
}
