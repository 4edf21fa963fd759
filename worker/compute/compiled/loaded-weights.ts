/**
 * The weights that a compiled step is fed, in TensorFlow's hands without being copied there.
 *
 * TensorFlow uses memory of ours in place only where it is aligned to 64 bytes, and copies it
 * otherwise. JavaScript cannot see an address, but the memory of a WebAssembly instance begins at a
 * page. So one such memory holds all tensors, each at the next multiple of 64 bytes, and is written
 * again at each load: no new pages, no garbage.
 */
import type { Architecture, TensorSpec } from '../../../shared/core/architecture-types.ts';
import { type Fed, feed } from './session.ts';

export interface LoadedWeights {
  /** What the tensors are fed as, by name; empty before the first `load`. */
  fed(): ReadonlyMap<string, Fed>;
  /** Copies the values; those loaded before are gone. */
  load(parameters: Float32Array, statistics: Float32Array): void;
  free(): void;
}

/** Bytes to which TensorFlow aligns what it uses in place; floats of it. */
const alignment = 64;
const aligned = (elements: number): number => {
  const floats = alignment / Float32Array.BYTES_PER_ELEMENT;
  return Math.ceil(elements / floats) * floats;
};
const wasmPageBytes = 65_536;

/** Node has it; TypeScript's types for Node leave it to the browser's. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer } };
};

export function loadedWeights({ parameters, statistics }: Architecture): LoadedWeights {
  const all = [...parameters, ...statistics];
  const elements = all.reduce((sum, { length }) => sum + aligned(length), 0);
  let memory: Float32Array | undefined;
  let fed = new Map<string, Fed>();

  function free(): void {
    for (const value of fed.values()) value.dispose();
    fed = new Map();
  }

  return {
    fed: () => fed,
    load(weights, runningStatistics) {
      free(); // before what it was fed is overwritten
      const held = (memory ??= pageAligned(elements));
      let at = 0;
      const take = (specs: readonly TensorSpec[], values: Float32Array): void => {
        for (const { name, shape, offset, length } of specs) {
          const own = held.subarray(at, at + length);
          own.set(values.subarray(offset, offset + length));
          fed.set(name, feed(own, shape, 'float32'));
          at += aligned(length);
        }
      };
      take(parameters, weights);
      take(statistics, runningStatistics);
    },
    free() {
      free();
      memory = undefined;
    },
  };
}

function pageAligned(elements: number): Float32Array {
  const bytes = elements * Float32Array.BYTES_PER_ELEMENT;
  try {
    const pages = Math.ceil(bytes / wasmPageBytes);
    return new Float32Array(new WebAssembly.Memory({ initial: pages }).buffer);
  } catch {
    // Where address space is short; TensorFlow then makes a copy.
    return new Float32Array(elements);
  }
}
