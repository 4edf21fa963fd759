/**
 * Views against plain per-pixel loops: geometry, each colour step, blur.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ViewInput } from '../../../shared/core/view.ts';
import type { Compute } from '../../../shared/ports/compute.ts';
import { createCompute } from '../../../worker/compute/compute.ts';
import {
  backends,
  canvas,
  method,
  microBatch,
  numbers,
  pixelsOf,
  plan,
  size,
  skipReason,
  tinyArchitecture as architecture,
  viewOf,
} from './tiny.ts';

type Colour = [r: number, g: number, b: number];

for (const backend of backends) {
  describe(`on ${backend}`, { skip: skipReason(backend) }, () => {
    let compute: Compute;
    before(async () => {
      compute = await createCompute({ backend, method, architecture, plan });
    });
    after(() => compute.close());

    test('the identity crop with neutral colour gives the pixels', async () => {
      const pixels = pixelsOf(1);
      const view = await compute.view(pixels, viewOf(1, microBatch, true));
      near(
        view,
        picture(pixels, (i, y, x) => [i, y, x]),
        1e-6,
      );
    });

    test('rows are rows and columns are columns: a crop, mirrored', async () => {
      const plain = viewOf(1, microBatch, true);
      const rows = new Float32Array(plain.rows.length);
      const columns = new Float32Array(plain.columns.length);
      for (let i = 0; i < microBatch; i++) {
        for (let k = 0; k < size; k++) {
          rows[(i * size + k) * canvas + k + 3] = 1;
          columns[(i * size + k) * canvas + (size - 1 - k) + 1] = 1;
        }
      }
      const pixels = pixelsOf(2);
      const view = await compute.view(pixels, { ...plain, rows, columns });
      near(
        view,
        picture(pixels, (i, y, x) => [i, y + 3, size - 1 - x + 1]),
        1e-6,
      );
    });

    test("a resize is the matrices' weighted sum over both axes", async () => {
      const next = numbers(5);
      const plain = viewOf(1, microBatch, true);
      const stochastic = () => {
        const matrix = Float32Array.from(plain.rows, () => next());
        for (let row = 0; row < matrix.length; row += canvas) {
          const part = matrix.subarray(row, row + canvas);
          const sum = part.reduce((total, v) => total + v, 0);
          for (let k = 0; k < canvas; k++) part[k] = (part[k] ?? 0) / sum;
        }
        return matrix;
      };
      const [rows, columns] = [stochastic(), stochastic()];
      const pixels = pixelsOf(3);
      const view = await compute.view(pixels, { ...plain, rows, columns });
      const expected = new Float64Array(view.length);
      each((i, y, x, c, at) => {
        for (let from = 0; from < canvas; from++) {
          const weight = rows[(i * size + y) * canvas + from] ?? 0;
          for (let across = 0; across < canvas; across++) {
            const pixel = pixels[((i * canvas + from) * canvas + across) * 3 + c] ?? 0;
            const share = columns[(i * size + x) * canvas + across] ?? 0;
            expected[at] = (expected[at] ?? 0) + (weight * share * pixel) / 255;
          }
        }
      });
      near(view, expected, 1e-5);
    });

    const changes: [name: string, factors: number[]][] = [
      ['brightness', [1.4, 1, 1, 0, 0]],
      ['contrast', [1, 0.6, 1, 0, 0]],
      ['more contrast', [1, 1.4, 1, 0, 0]],
      ['saturation', [1, 1, 0.6, 0, 0]],
      ['more saturation', [1, 1, 1.4, 0, 0]],
      ['hue forwards', [1, 1, 1, 0.1, 0]],
      ['hue backwards', [1, 1, 1, -0.1, 0]],
      ['half a turn of hue', [1, 1, 1, 0.5, 0]],
      ['gray', [1, 1, 1, 0, 1]],
      ['all of them, in order', [0.7, 1.3, 0.8, 0.07, 0]],
      ['all of them, then gray', [1.3, 0.8, 1.2, -0.05, 1]],
    ];
    for (const [name, factors] of changes) {
      test(`colour per pixel: ${name}`, async () => {
        const pixels = noise(7);
        const plain = viewOf(1, microBatch, true);
        const colour = Float32Array.from({ length: 5 * microBatch }, (_, i) => factors[i % 5] ?? 0);
        const view = await compute.view(pixels, { ...plain, colour });
        const before = picture(pixels, (i, y, x) => [i, y, x]);
        // Hue divides by the chroma: where two channels nearly meet, rounding grows a little.
        near(view, recoloured(before, factors), 2e-5);
      });
    }

    test('blur comes after colour, down the rows and along the columns', async () => {
      const plain = viewOf(1, microBatch, true);
      const { blur } = viewOf(1);
      assert.ok(blur);
      const rows = plain.blur?.rows as Float32Array; // none down, some across
      const colour = plain.colour.map((factor, i) => (i % 5 === 0 ? 1.4 : factor));
      const pixels = noise(9);
      const input: ViewInput = { ...plain, colour, blur: { rows, columns: blur.columns } };
      const view = await compute.view(pixels, input);
      const bright = recoloured(
        picture(pixels, (i, y, x) => [i, y, x]),
        [1.4, 1, 1, 0, 0],
      );
      const expected = new Float64Array(view.length);
      each((i, y, x, c, at) => {
        for (let k = 0; k < size; k++) {
          const weight = blur.columns[(i * size + x) * size + k] ?? 0;
          const pixel = bright[((i * size + y) * size + k) * 3 + c] ?? 0;
          expected[at] = (expected[at] ?? 0) + weight * pixel;
        }
      });
      near(view, expected, 1e-5);
    });
  });
}

/** The view whose pixel (i, y, x) is the canvas pixel that `from` names, in [0, 1]. */
function picture(
  pixels: Uint8Array,
  from: (i: number, y: number, x: number) => [number, number, number],
): Float64Array {
  const view = new Float64Array(microBatch * size * size * 3);
  each((i, y, x, c, at) => {
    const [image, row, column] = from(i, y, x);
    view[at] = (pixels[((image * canvas + row) * canvas + column) * 3 + c] ?? 0) / 255;
  });
  return view;
}

function each(f: (i: number, y: number, x: number, c: number, at: number) => void): void {
  let at = 0;
  for (let i = 0; i < microBatch; i++)
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) for (let c = 0; c < 3; c++) f(i, y, x, c, at++);
}

/** Independent pixels, some of them gray, black, white or with two equal channels. */
function noise(seed: number): Uint8Array {
  const next = numbers(seed);
  const pixels = pixelsOf(seed).map(() => 256 * next());
  const special = [
    [0, 0, 0],
    [255, 255, 255],
    [90, 90, 90],
    [255, 0, 0],
    [200, 200, 7],
    [9, 80, 80],
    [80, 9, 80],
    [0, 0, 255],
  ];
  for (const [k, colour] of special.entries()) pixels.set(colour, k * 3);
  return pixels;
}

/** torchvision's colour steps, one pixel at a time. */
function recoloured(view: Float64Array, factors: number[]): Float64Array {
  const [brightness = 1, contrast = 1, saturation = 1, hue = 0, gray = 0] = factors;
  const result = Float64Array.from(view, (v) => clamp(v * brightness));
  const length = size * size * 3;
  for (let start = 0; start < result.length; start += length) {
    const image = result.subarray(start, start + length);
    let sum = 0;
    for (let at = 0; at < length; at += 3) sum += grayOf(colourAt(image, at));
    const mean = sum / (size * size);
    for (let at = 0; at < length; at += 3) {
      let colour = colourAt(image, at).map((v) => clamp(contrast * v + (1 - contrast) * mean));
      const level = grayOf(colour as Colour);
      colour = colour.map((v) => clamp(saturation * v + (1 - saturation) * level));
      if (hue !== 0) colour = turnHue(colour as Colour, hue);
      image.set(gray === 1 ? Array(3).fill(grayOf(colour as Colour)) : colour, at);
    }
  }
  return result;
}

function colourAt(image: Float64Array, at: number): Colour {
  return [image[at] ?? 0, image[at + 1] ?? 0, image[at + 2] ?? 0];
}

function grayOf([r, g, b]: Colour): number {
  return 0.2989 * r + 0.587 * g + 0.114 * b;
}

/** By the six sectors of the HSV cone, as Python's colorsys does it. */
function turnHue([r, g, b]: Colour, turns: number): Colour {
  const v = Math.max(r, g, b);
  const least = Math.min(r, g, b);
  if (v === least) return [r, g, b];
  const s = (v - least) / v;
  const [rc, gc, bc] = [r, g, b].map((x) => (v - x) / (v - least)) as Colour;
  const sixths = r === v ? bc - gc : g === v ? 2 + rc - bc : 4 + gc - rc;
  const h = (((sixths / 6 + turns) % 1) + 1) % 1;
  const sector = Math.floor(h * 6);
  const f = h * 6 - sector;
  const [p, q, t] = [v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))];
  const sectors: Colour[] = [
    [v, t, p],
    [q, v, p],
    [p, v, t],
    [p, q, v],
    [t, p, v],
    [v, p, q],
  ];
  return sectors[sector % 6] ?? [r, g, b];
}

function clamp(v: number): number {
  return Math.min(1, Math.max(0, v));
}

function near(found: Float32Array, expected: Float64Array, tolerance: number): void {
  assert.equal(found.length, expected.length);
  for (const [i, value] of expected.entries()) {
    const difference = Math.abs((found[i] ?? Number.NaN) - value);
    assert.ok(difference <= tolerance, `[${i}]: ${found[i]} for ${value}`);
    assert.ok((found[i] ?? -1) >= 0 && (found[i] ?? 2) <= 1);
  }
}
