/**
 * Numbers that a fixture's script and its test make alike, so that weights, pixels and directions
 * need not be stored: a hash of (tensor, element), as in resnet_torch.py.
 */
import type { ViewInput } from '../../shared/core/view.ts';
import type { LeafInput } from '../../shared/ports/compute.ts';

/** Numbers in [0, 1), multiples of 2^-24. */
export function hashed(tensor: number, length: number): Float64Array {
  const base = (Math.imul(tensor, 2246822519) + 12345) >>> 0;
  const numbers = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    let x = (Math.imul(i, 2654435761) + base) >>> 0;
    x ^= x >>> 15;
    x = Math.imul(x, 2246822519);
    x ^= x >>> 13;
    x = Math.imul(x, 3266489917);
    x ^= x >>> 16;
    numbers[i] = (x >>> 8) / 2 ** 24;
  }
  return numbers;
}

/** Norm, product with the hashed direction `index`, three elements spread over the tensor. */
export function probesOf(tensor: Float32Array, index: number): number[] {
  const direction = hashed(index, tensor.length);
  let squares = 0;
  let along = 0;
  for (const [i, value] of tensor.entries()) {
    squares += value * value;
    along += value * (2 * (direction[i] as number) - 1);
  }
  const spread = [1, 2, 3].map((k) => tensor[Math.floor((tensor.length * k) / 4)] as number);
  return [Math.sqrt(squares), along, ...spread];
}

/**
 * Two hashed views of m images and nothing drawn: view 1 lies in the top-left quarter of each
 * canvas, view 2 in the bottom-right.
 */
export function hashedViews(m: number, size: number): LeafInput {
  const canvas = 2 * size;
  const pixels = new Uint8Array(m * canvas * canvas * 3);
  const [view1, view2] = [0, 1].map((view): ViewInput => {
    const values = hashed(2000 + view, m * size * size * 3).map((u) => Math.floor(u * 256));
    const rows = new Float32Array(m * size * canvas);
    for (let line = 0; line < m * size; line++) {
      const row = (line % size) + view * size;
      rows[line * canvas + row] = 1;
      const at = ((Math.floor(line / size) * canvas + row) * canvas + view * size) * 3;
      pixels.set(values.subarray(line * size * 3, (line + 1) * size * 3), at);
    }
    const colour = Float32Array.from({ length: m * 5 }, (_, i) => (i % 5 < 3 ? 1 : 0));
    return { rows, columns: rows.slice(), colour, blur: null };
  }) as [ViewInput, ViewInput];
  return { pixels, view1, view2 };
}
