/**
 * What passes between a compute thread and the program that started it: one request at a time has
 * one answer, matched by `id`. Buffers in `transfer` move without a copy.
 */
import type { FailureCode } from '../../shared/core/failures.ts';
import type { ViewInput } from '../../shared/core/view.ts';
import type { WeightMemory } from '../../shared/core/weight-memory.ts';
import type { DeviceDescription, LeafInput, LeafOutput } from '../../shared/ports/compute.ts';
import type { ComputeOptions } from './compute.ts';

export type Call =
  | { kind: 'create'; options: Omit<ComputeOptions, 'objective'> }
  | { kind: 'load'; memory: WeightMemory }
  | { kind: 'leaf'; input: LeafInput; into: Float32Array | undefined }
  | { kind: 'features'; pixels: Uint8Array; view: ViewInput }
  | { kind: 'moments'; pixels: Uint8Array; view: ViewInput }
  | { kind: 'view'; pixels: Uint8Array; view: ViewInput }
  | { kind: 'close' };

export type Answer =
  | { kind: 'described'; device: DeviceDescription }
  | { kind: 'done' }
  | { kind: 'leaf'; output: LeafOutput }
  | { kind: 'values'; values: Float32Array }
  | { kind: 'failed'; code: FailureCode; message: string };

export interface Request {
  id: number;
  call: Call;
}

export interface Response {
  id: number;
  answer: Answer;
}
