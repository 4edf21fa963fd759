/**
 * First weights and statistics, from the seed alone (NUMERICS 3).
 *
 * Element i of a tensor draws at (seed, 'initial', stream of the tensor's name, i), so a layer that
 * is added, renamed or reordered leaves every other tensor's values as they are. The stream is 53
 * bits of two FNV-1a hashes: the name's, and that of the name with a slash before it.
 */
import type { Architecture, TensorSpec } from './architecture-types.ts';
import { fillNormal, fillUniform } from './draws.ts';
import { unreachable } from './unreachable.ts';

/** 32-bit FNV-1a (Fowler, Noll, Vo) of an ASCII text. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < text.length; i += 1) {
    const byte = text.charCodeAt(i);
    if (byte > 127) throw new RangeError(`a tensor's name is ASCII, found ${JSON.stringify(text)}`);
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}

/** The stream of a tensor's draws, a whole number below 2^53. */
export function streamOf(name: string): number {
  return fnv1a(name) * 2097152 + (fnv1a(`/${name}`) >>> 11);
}

/** All parameters of step 0, flat, [parameterCount]. */
export function initialWeights(architecture: Architecture, seed: number): Float32Array {
  const weights = new Float32Array(architecture.parameterCount);
  for (const tensor of architecture.parameters) fill(weights, tensor, seed);
  return weights;
}

/** Running statistics of step 0, flat, [statisticCount]. */
export function initialStatistics(architecture: Architecture): Float32Array {
  const statistics = new Float32Array(architecture.statisticCount);
  // Running means and variances are constants: the seed has no say.
  for (const tensor of architecture.statistics) fill(statistics, tensor, 0);
  return statistics;
}

function fill(flat: Float32Array, tensor: TensorSpec, seed: number): void {
  const { initial } = tensor;
  const values = flat.subarray(tensor.offset, tensor.offset + tensor.length);
  switch (initial.kind) {
    case 'constant':
      values.fill(initial.value);
      return;
    case 'kaiming-normal-fan-out':
      fillNormal(values, Math.sqrt(2 / initial.fanOut), seed, 'initial', streamOf(tensor.name));
      return;
    case 'uniform-fan-in': {
      const bound = 1 / Math.sqrt(initial.fanIn);
      const draws = new Float64Array(tensor.length);
      fillUniform(draws, seed, 'initial', streamOf(tensor.name), 0);
      for (let i = 0; i < draws.length; i += 1) values[i] = (2 * draws[i]! - 1) * bound;
      return;
    }
    default:
      unreachable(initial);
  }
}
