/** Weights and running statistics in a worker's memory: written as they arrive, used where they lie. */
import type { Architecture } from './architecture-types.ts';
import type { Precision } from './method.ts';
import { sharedMemory } from './shared-memory.ts';
import {
  type PlacedTensor,
  type WeightLayout,
  weightLayout,
  writeWeights,
} from './weight-layout.ts';

/** `memoryBytes` of a `WeightLayout`, each tensor in its place. */
export type WeightMemory = Uint8Array;

/** Zeros. */
export function weightMemory({ memoryBytes }: WeightLayout): WeightMemory {
  return new Uint8Array(sharedMemory(memoryBytes).buffer, 0, memoryBytes);
}

/** Puts bytes that were sent, from byte `sentAt` on, where their tensors lie. */
export function placeSent(
  { parameters, statistics }: WeightLayout,
  memory: WeightMemory,
  sent: Uint8Array,
  sentAt: number,
): void {
  const end = sentAt + sent.length;
  for (const tensors of [parameters, statistics])
    for (const tensor of tensors) {
      const from = Math.max(sentAt, tensor.sentAt);
      const to = Math.min(end, tensor.sentAt + tensor.bytes);
      if (from >= to) continue;
      memory.set(sent.subarray(from - sentAt, to - sentAt), tensor.at + from - tensor.sentAt);
    }
}

/** What a worker would have of these weights. */
export function heldWeights(
  architecture: Architecture,
  precision: Precision,
  weights: Float32Array,
  statistics: Float32Array,
  into?: WeightMemory,
): WeightMemory {
  const layout = weightLayout(architecture, precision);
  const memory = into ?? weightMemory(layout);
  const { byteOffset, byteLength } = statistics;
  writeWeights(architecture, layout, 'at', weights, [0, weights.length], memory);
  const bytes = new Uint8Array(statistics.buffer, byteOffset, byteLength);
  placeSent(layout, memory, bytes, layout.weightBytes);
  return memory;
}

/** The bytes of a tensor in its memory. */
export function tensorBytes(memory: WeightMemory, { at, bytes }: PlacedTensor): Uint8Array {
  return memory.subarray(at, at + bytes);
}
