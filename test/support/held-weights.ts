/** Weights in a worker's memory seen as the flat vectors they came from (f32). */
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { type PlacedTensor, weightLayout } from '../../shared/core/weight-layout.ts';
import { tensorBytes, type WeightMemory } from '../../shared/core/weight-memory.ts';

export function flatIn(
  architecture: Architecture,
  memory: WeightMemory,
): { weights: Float32Array; statistics: Float32Array } {
  const { parameters, statistics } = weightLayout(architecture, 'f32');
  const flat = (placed: readonly PlacedTensor[], elements: number): Float32Array => {
    const bytes = new Uint8Array(4 * elements);
    let at = 0;
    for (const tensor of placed) {
      bytes.set(tensorBytes(memory, tensor), at);
      at += tensor.bytes;
    }
    return new Float32Array(bytes.buffer);
  };
  return {
    weights: flat(parameters, architecture.parameterCount),
    statistics: flat(statistics, architecture.statisticCount),
  };
}
