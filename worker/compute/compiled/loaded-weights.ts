/**
 * The weights that a compiled step is fed, in TensorFlow's hands without being copied there: they lie
 * where they arrived, each tensor at a multiple of 64 bytes (shared/core/weight-memory).
 */
import type { PlacedTensor, WeightLayout } from '../../../shared/core/weight-layout.ts';
import { tensorBytes, type WeightMemory } from '../../../shared/core/weight-memory.ts';
import { type Fed, feed } from './session.ts';

export interface LoadedWeights {
  /** What the tensors are fed as, by name; empty before the first `load`. */
  fed(): ReadonlyMap<string, Fed>;
  /** Those loaded before are gone. */
  load(memory: WeightMemory): void;
  free(): void;
}

export function loadedWeights({ parameters, statistics }: WeightLayout): LoadedWeights {
  let fed = new Map<string, Fed>();
  /** TensorFlow keeps an address only. */
  let held: WeightMemory | undefined;

  function free(): void {
    for (const value of fed.values()) value.dispose();
    fed = new Map();
    held = undefined;
  }

  return {
    fed: () => fed,
    load(memory) {
      free();
      held = memory;
      for (const tensor of [...parameters, ...statistics])
        fed.set(tensor.name, fedAs(tensor, tensorBytes(held, tensor)));
    },
    free,
  };
}

/** tfjs-node takes no bfloat16: its bytes are fed, which the graph sees as numbers. */
function fedAs({ type, shape }: PlacedTensor, bytes: Uint8Array): Fed {
  if (type === 'bfloat16') return feed(bytes, [...shape, 2], 'uint8');
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return feed(values, shape, 'float32');
}
