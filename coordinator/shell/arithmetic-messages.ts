/** What passes between the reducer's thread and the one that sums: commands, answers, shared memory. */
import type { Architecture } from '../../shared/core/architecture-types.ts';
import type { Precision } from '../../shared/core/method.ts';
import type { LearningRates } from '../../shared/core/schedule.ts';
import type { WasmMemory } from '../../shared/core/shared-memory.ts';
import type { ModelCopy, StateHashes } from './model-state.ts';

export interface StepFactors {
  /** S */
  leaves: number;
  rates: LearningRates;
  momentumFactor: number;
  weightDecay: number;
}

export interface Reduced extends StateHashes {
  gradient: string;
  /** Of what workers are sent of the weights. */
  sent: string;
}

export type Command =
  /** Nothing of the step is made; `from`: which of the two copies is the current one. */
  | { kind: 'begin'; epoch: number; factors: StepFactors; from: 0 | 1 }
  /** The bucket of one node lies in this slot. */
  | { kind: 'push'; slot: number; elements: number }
  /** The two pushed last are summed. */
  | { kind: 'add' }
  /** What is left is the root of this bucket: scaled, applied and hashed. */
  | { kind: 'apply'; bucket: number }
  /** What is pushed and not applied is forgotten. */
  | { kind: 'clear' }
  /** The statistics, and the hashes of all of it. */
  | { kind: 'finish' };

export type Answer =
  | { kind: 'free'; slot: number }
  /** So many bytes of what is sent of the weights are made. */
  | { kind: 'made'; epoch: number; bytes: number }
  | { kind: 'finished'; epoch: number; reduced: Reduced };

export interface Shared {
  architecture: Architecture;
  precision: Precision;
  copies: readonly [ModelCopy, ModelCopy];
  /** What is sent of the weights of each copy; in f32 their own memory. */
  sent: readonly [Uint8Array, Uint8Array];
  /** Memory of one bucket each. */
  slots: readonly Float32Array[];
  /** Null, or what all of it lies in. */
  memory: WasmMemory | null;
}
