/**
 * Crop, antialiased resize, flip and blur as small matrices, one a side of an image (view.ts).
 *
 * Resampling is Pillow's bilinear with antialiasing, cropped first: a triangle of half-width
 * max(1, length / size) source pixels round each output pixel's centre, taps outside the window
 * left out and the rest normalised. The blur is a Gaussian cut off at 4 sigma, normalised, with
 * the border pixel repeated outwards, as Pillow does. Weights are computed in f64 with `exact`
 * and rounded to f32 once.
 */

import type { CropWindow, ImageSize, ViewDraws } from './augment-draws.ts';
import { exp } from './exact.ts';
import type { Method } from './method.ts';
import { colourColumns, type ViewInput } from './view.ts';

export type ViewMethod = Pick<Method, 'size' | 'canvas' | 'augmentation'>;

/**
 * Writes a [size, canvas] matrix at `offset` of `out`: row i holds the weights of the source pixels
 * of output pixel i, or with `flip` of its mirror image. The window [start, start + length) lies
 * within the image, which takes the first `limit` pixels of the canvas; a RangeError if not.
 */
export function resizeMatrix(
  out: Float32Array,
  offset: number,
  size: number,
  canvas: number,
  start: number,
  length: number,
  limit: number,
  flip: boolean,
): void {
  if (!(start >= 0 && length >= 1 && start + length <= limit && limit <= canvas)) {
    throw new RangeError(
      `a crop lies within its image and the image within its canvas; found pixels ${start} to ` +
        `${start + length} of ${limit} in a canvas of ${canvas}`,
    );
  }
  out.fill(0, offset, offset + size * canvas);
  const scale = length / size;
  const support = Math.max(1, scale);
  for (let i = 0; i < size; i += 1) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(length, Math.floor(centre + support + 0.5));
    const weight = (x: number): number => {
      const distance = (x - centre + 0.5) / support;
      return Math.max(0, 1 - (distance < 0 ? -distance : distance));
    };
    let total = 0;
    for (let x = first; x < end; x += 1) total += weight(x);
    const row = offset + (flip ? size - 1 - i : i) * canvas + start;
    for (let x = first; x < end; x += 1) out[row + x] = weight(x) / total;
  }
}

/** Writes a [size, size] Gaussian blur at `offset` of `out`; sigma in pixels, 0 for none. */
export function blurMatrix(out: Float32Array, offset: number, size: number, sigma: number): void {
  out.fill(0, offset, offset + size * size);
  const radius = sigma > 0 ? Math.max(1, Math.floor(4 * sigma + 0.5)) : 0;
  const kernel = new Float64Array(radius + 1);
  kernel[0] = 1;
  let total = 1;
  for (let d = 1; d <= radius; d += 1) {
    const weight = exp((-d * d) / (2 * sigma * sigma));
    kernel[d] = weight;
    total += 2 * weight;
  }
  const row = new Float64Array(size);
  for (let i = 0; i < size; i += 1) {
    row.fill(0);
    for (let d = -radius; d <= radius; d += 1) {
      const x = Math.min(size - 1, Math.max(0, i + d));
      row[x] = row[x]! + kernel[d < 0 ? -d : d]!;
    }
    for (let x = 0; x < size; x += 1) out[offset + i * size + x] = row[x]! / total;
  }
}

/** One view of a micro-batch from the sizes of its images and their draws, slot by slot. */
export function viewInput(
  method: ViewMethod,
  images: readonly ImageSize[],
  draws: readonly ViewDraws[],
): ViewInput {
  if (draws.length !== images.length) {
    throw new RangeError(`a view needs draws per image, found ${draws.length}/${images.length}`);
  }
  const { size, augmentation } = method;
  const cells = size * size;
  const input = geometry(
    method,
    images,
    draws.map((draw) => draw.crop),
    draws.map((draw) => draw.flip),
  );
  draws.forEach((draw, i) => {
    const { brightness, contrast, saturation, hue } = draw;
    const gray = draw.gray ? 1 : 0;
    input.colour.set([brightness, contrast, saturation, hue, gray], i * colourColumns.length);
  });
  if (augmentation.blurProbability <= 0) return input;
  // The same kernel on both sides: the blur is round, and the contract lets them differ.
  const rows = new Float32Array(draws.length * cells);
  draws.forEach((draw, i) => {
    blurMatrix(rows, i * cells, size, draw.sigma);
  });
  return { ...input, blur: { rows, columns: rows.slice() } };
}

/** The view for evaluation: the largest centred square, resized; colours as they are, no blur. */
export function centreInput(method: ViewMethod, images: readonly ImageSize[]): ViewInput {
  const crops = images.map(({ height, width }) => {
    const side = Math.min(height, width);
    const top = Math.floor((height - side) / 2);
    const left = Math.floor((width - side) / 2);
    return { top, left, height: side, width: side };
  });
  return geometry(
    method,
    images,
    crops,
    images.map(() => false),
  );
}

/** Matrices of crops and flips, with neutral colours and no blur. */
function geometry(
  method: ViewMethod,
  images: readonly ImageSize[],
  crops: readonly CropWindow[],
  flips: readonly boolean[],
): ViewInput {
  const { size, canvas } = method;
  const cells = size * canvas;
  const rows = new Float32Array(images.length * cells);
  const columns = new Float32Array(images.length * cells);
  const colour = new Float32Array(images.length * colourColumns.length);
  images.forEach(({ height, width }, i) => {
    const crop = crops[i]!;
    resizeMatrix(rows, i * cells, size, canvas, crop.top, crop.height, height, false);
    resizeMatrix(columns, i * cells, size, canvas, crop.left, crop.width, width, flips[i]!);
    colour.set([1, 1, 1, 0, 0], i * colourColumns.length);
  });
  return { rows, columns, colour, blur: null };
}
