/**
 * Whole views (crop, antialiased resize, flip, colour, blur) of painted images beside torchvision's
 * and Pillow's, which augment_torchvision.py wrote down.
 *
 * torchvision on floats does the same arithmetic in another order: 1e-5 of the range (seen: 2.7e-6, of
 * which 2e-6 is the fixture's own rounding). Pillow rounds to a byte after each step and blurs by
 * boxes, so there the bounds are in steps of a byte: 2 on average over an image, 10 anywhere (seen: 1.4
 * and 6.8).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { ViewDraws } from '../../shared/core/augment-draws.ts';
import { viewInput } from '../../shared/core/augment-matrices.ts';
import type { Method } from '../../shared/core/method.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import { createCompute } from '../../worker/compute/compute.ts';
import {
  backends,
  plan,
  skipReason,
  tinyArchitecture as architecture,
} from '../worker/compute/tiny.ts';

type Draws = Omit<ViewDraws, 'crop'> & ViewDraws['crop'];
interface Case {
  height: number;
  width: number;
  draws: Draws;
  /** [height, width, 3] bytes, base64 */
  pixels: string;
  /** [size, size, 3] in thousandths of a 255th */
  torchvision: number[];
  /** [size, size, 3] bytes, base64 */
  pillow: string;
}

const fixture = new URL('../../../test/parity/augment-torchvision.json', import.meta.url);
const { size, cases } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  size: number;
  cases: Case[];
};
const canvas = 48;
const method = {
  objective: 'simsiam',
  model: 'resnet18-cifar',
  size,
  canvas,
  microBatch: cases.length,
  augmentation: { blurProbability: 0.5 },
} as Method;

/** All images at the top left of black canvases. */
function canvases(): Uint8Array {
  const pixels = new Uint8Array(cases.length * canvas * canvas * 3);
  for (const [i, { height, width, pixels: encoded }] of cases.entries()) {
    const image = Buffer.from(encoded, 'base64');
    for (let y = 0; y < height; y++) {
      const row = image.subarray(3 * y * width, 3 * (y + 1) * width);
      pixels.set(row, 3 * canvas * (i * canvas + y));
    }
  }
  return pixels;
}

/** What was drawn, in words. */
function told({ draws }: Case): string {
  const changed = Object.entries(draws).filter(
    ([name, value]) => value !== 0 && value !== false && !(value === 1 && /^[bcs]/.test(name)),
  );
  return changed.map(([name, value]) => `${name} ${value}`).join(', ');
}

for (const backend of backends) {
  describe(`a whole view on ${backend}`, { skip: skipReason(backend) }, () => {
    let compute: Compute;
    let views: Float32Array[];
    before(async () => {
      compute = await createCompute({ backend, method, architecture, plan });
      const draws = cases.map(({ draws: { top, left, height, width, ...rest } }) => ({
        ...rest,
        crop: { top, left, height, width },
      }));
      const made = await compute.view(canvases(), viewInput(method, cases, draws));
      const length = size * size * 3;
      views = cases.map((_, i) => made.subarray(i * length, (i + 1) * length));
    });
    after(() => compute.close());

    for (const [i, one] of cases.entries()) {
      test(`is torchvision's and Pillow's: ${told(one)}`, () => {
        const exact = one.torchvision.map((value) => value / 255_000);
        const bytes = [...Buffer.from(one.pillow, 'base64')].map((value) => value / 255);
        const off = (expected: number[]): number[] =>
          expected.map((value, at) => Math.abs((views[i]?.[at] ?? Number.NaN) - value));
        const largest = Math.max(...off(exact));
        assert.ok(largest < 1e-5, `off torchvision by ${largest}`);
        const steps = off(bytes).map((value) => 255 * value);
        const average = steps.reduce((sum, value) => sum + value, 0) / steps.length;
        assert.ok(average < 2 && Math.max(...steps) < 10, `${average} and ${Math.max(...steps)}`);
      });
    }
  });
}
