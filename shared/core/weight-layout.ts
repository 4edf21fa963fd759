/**
 * How weights travel to workers and lie there: at the precision at which they are used (NUMERICS 5).
 *
 * What is sent is the parameters in their flat order, then the running statistics, without gaps. In
 * bf16 the filters and dense weights are rounded once, here, and sent as bfloat16; whatever has one
 * dimension is used in f32 and stays it. A worker keeps each tensor at the next multiple of 64 bytes,
 * so that TensorFlow can use it where it lies.
 */
import type { Architecture, TensorSpec } from './architecture-types.ts';
import type { Precision } from './method.ts';

export interface PlacedTensor extends Pick<TensorSpec, 'name' | 'shape'> {
  type: 'float32' | 'bfloat16';
  bytes: number;
  /** First byte among those that are sent. */
  sentAt: number;
  /** First byte in a worker's memory, a multiple of 64. */
  at: number;
}

export interface WeightLayout {
  parameters: readonly PlacedTensor[];
  statistics: readonly PlacedTensor[];
  /** Bytes that are sent of the parameters; the statistics follow. */
  weightBytes: number;
  /** Of all that is sent. */
  sentBytes: number;
  /** Of a worker's memory. */
  memoryBytes: number;
}

/** To which TensorFlow aligns what it uses in place, bytes. */
const alignment = 64;

export function weightLayout(architecture: Architecture, precision: Precision): WeightLayout {
  let sentAt = 0;
  let at = 0;
  const place = ({ name, shape, length }: TensorSpec, short: boolean): PlacedTensor => {
    const bytes = (short ? 2 : 4) * length;
    const tensor = {
      name,
      shape,
      type: short ? 'bfloat16' : 'float32',
      bytes,
      sentAt,
      at,
    } as const;
    sentAt += bytes;
    at = Math.ceil((at + bytes) / alignment) * alignment;
    return tensor;
  };
  const parameters = architecture.parameters.map((spec) => place(spec, isShort(spec, precision)));
  const weightBytes = sentAt;
  const statistics = architecture.statistics.map((spec) => place(spec, false));
  return { parameters, statistics, weightBytes, sentBytes: sentAt, memoryBytes: at };
}

function isShort({ shape }: TensorSpec, precision: Precision): boolean {
  return roundsWeights(precision) && shape.length > 1;
}

/** Writes `values` as bfloat16 from byte `begin` on; returns the first byte behind them. */
export type RoundTo = (values: Float32Array, into: Uint8Array, begin: number) => number;

/** Whether what is sent of the weights differs from their own bytes. */
export const roundsWeights = (precision: Precision): boolean => precision === 'bf16';

/**
 * Writes elements [first, end) of the flat weights as they are sent: to their place among what is sent
 * (`sentAt`) or in a worker's memory (`at`). Returns the first byte behind what was written.
 */
export function writeWeights(
  { parameters }: Architecture,
  layout: WeightLayout,
  where: 'sentAt' | 'at',
  weights: Float32Array,
  [first, end]: readonly [first: number, end: number],
  into: Uint8Array,
  round: RoundTo = roundToBfloat16,
): number {
  let written = 0;
  for (const [i, { offset, length }] of parameters.entries()) {
    const from = Math.max(first, offset);
    const to = Math.min(end, offset + length);
    if (from >= to) continue;
    const tensor = layout.parameters[i] as PlacedTensor;
    const values = weights.subarray(from, to);
    const begin = tensor[where] + (tensor.bytes / length) * (from - offset);
    written = (tensor.type === 'bfloat16' ? round : copyFloat32)(values, into, begin);
  }
  return written;
}

/**
 * f32 → bfloat16, to nearest, ties to even, as TensorFlow's Cast does. Values are finite. Returns the
 * first byte behind what was written; `begin` is even.
 */
export function roundToBfloat16(values: Float32Array, into: Uint8Array, begin: number): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(into.buffer, into.byteOffset + begin, bits.length);
  for (let i = 0; i < bits.length; i += 1) {
    const value = bits[i]!;
    out[i] = (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
  return begin + out.byteLength;
}

function copyFloat32(values: Float32Array, into: Uint8Array, begin: number): number {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  into.set(bytes, begin);
  return begin + bytes.length;
}
