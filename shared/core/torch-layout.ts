/**
 * PyTorch's layout of tensors and ours: filters [out, in, height, width] there and [height, width,
 * in, out] here, dense weights [out, in] there and [in, out] here; vectors are the same.
 *
 * Elements are copied, never computed with, so a tensor that goes there and back keeps its bits.
 */

/** The axis of ours that each axis of PyTorch's is. */
function axesOf(rank: number): readonly number[] | null {
  if (rank === 4) return [3, 2, 0, 1];
  return rank === 2 ? [1, 0] : null;
}

/** Our shape as PyTorch has it. */
export function torchShape(shape: readonly number[]): number[] {
  return axesOf(shape.length)?.map((axis) => shape[axis]!) ?? [...shape];
}

/** Values of our layout and shape, in PyTorch's. */
export function toTorch(values: Float32Array, shape: readonly number[]): Float32Array {
  return permuted(values, shape, axesOf(shape.length), true);
}

/** Values of PyTorch's layout, in ours; `shape` is ours. */
export function fromTorch(values: Float32Array, shape: readonly number[]): Float32Array {
  return permuted(values, shape, axesOf(shape.length), false);
}

function permuted(
  values: Float32Array,
  shape: readonly number[],
  axes: readonly number[] | null,
  there: boolean,
): Float32Array {
  if (axes === null) return values.slice();
  const out = new Float32Array(values.length);
  // Both ranks as four axes of PyTorch's, the missing ones of length 1.
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const sides = [...axes.map((axis) => shape[axis]!), 1, 1];
  const steps = [...axes.map((axis) => strides[axis]!), 0, 0];
  const [a = 1, b = 1, c = 1, d = 1] = sides;
  const [stepA = 0, stepB = 0, stepC = 0, stepD = 0] = steps;
  let torch = 0;
  for (let i = 0; i < a; i += 1)
    for (let j = 0; j < b; j += 1)
      for (let k = 0; k < c; k += 1)
        for (let l = 0; l < d; l += 1) {
          const ours = i * stepA + j * stepB + k * stepC + l * stepD;
          if (there) out[torch] = values[ours]!;
          else out[ours] = values[torch]!;
          torch += 1;
        }
  return out;
}
