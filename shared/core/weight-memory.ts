/**
 * Weights and running statistics in a worker's memory: written as they arrive, used where they lie.
 *
 * TensorFlow uses memory of ours in place only where it is aligned to 64 bytes. JavaScript cannot see
 * an address, but the memory of a WebAssembly instance begins at a page, and threads can share it.
 */
import type { Architecture } from './architecture-types.ts';
import type { Precision } from './method.ts';
import {
  type PlacedTensor,
  type WeightLayout,
  weightLayout,
  writeWeights,
} from './weight-layout.ts';

/** `memoryBytes` of a `WeightLayout`, each tensor in its place. */
export type WeightMemory = Uint8Array;

const wasmPageBytes = 65_536;

/** Node has it; TypeScript's types for Node leave it to the browser's. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: {
      initial: number;
      maximum: number;
      shared: true;
    }) => {
      buffer: SharedArrayBuffer;
    };
  };
};

/** Zeros. */
export function weightMemory({ memoryBytes }: WeightLayout): WeightMemory {
  const pages = Math.max(1, Math.ceil(memoryBytes / wasmPageBytes));
  try {
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return new Uint8Array(buffer, 0, memoryBytes);
  } catch {
    // Where address space is short; TensorFlow then makes a copy.
    return new Uint8Array(new SharedArrayBuffer(memoryBytes));
  }
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
