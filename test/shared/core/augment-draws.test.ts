/** Draws of a view: RandomResizedCrop's bounds and fall-back, shares, ranges, independence. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { drawCrop, drawView } from '../../../shared/core/augment-draws.ts';
import type { AugmentationMethod } from '../../../shared/core/method.ts';

const augmentation: AugmentationMethod = {
  cropScale: [0.2, 1],
  cropRatio: [3 / 4, 4 / 3],
  flipProbability: 0.5,
  jitterProbability: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.4,
  hue: 0.1,
  grayProbability: 0.2,
  blurProbability: 0.5,
  blurSigma: [0.1, 2],
};
const image = { height: 96, width: 128 };
const views = Array.from({ length: 20_000 }, (_, position) =>
  drawView(augmentation, 1, position, 1, image),
);

/** True where a share lies within five standard errors of a probability. */
function near(share: number, probability: number): boolean {
  return Math.abs(share - probability) < 5 * Math.sqrt((probability * (1 - probability)) / 20_000);
}

test('crops are whole pixels within the image, within the scales and ratios asked', () => {
  for (const { crop } of views) {
    for (const side of Object.values(crop)) assert.ok(Number.isInteger(side));
    assert.ok(crop.top >= 0 && crop.top + crop.height <= image.height && crop.height > 0);
    assert.ok(crop.left >= 0 && crop.left + crop.width <= image.width && crop.width > 0);
    const share = (crop.height * crop.width) / (image.height * image.width);
    const ratio = crop.width / crop.height;
    // Rounding to whole pixels moves both a little.
    assert.ok(share > 0.19 && share <= 1, `a share of ${share}`);
    assert.ok(ratio > 0.735 && ratio < 1.36, `a ratio of ${ratio}`);
  }
});

test('crops reach every edge and their ratio is even in its logarithm', () => {
  assert.ok(views.some(({ crop }) => crop.top === 0 && crop.height < image.height));
  assert.ok(views.some(({ crop }) => crop.left === 0 && crop.width < image.width));
  assert.ok(views.some(({ crop }) => crop.top + crop.height === image.height && crop.top > 0));
  assert.ok(views.some(({ crop }) => crop.left + crop.width === image.width && crop.left > 0));
  // On a square image no try is likelier to fail for its ratio's direction.
  const square = Array.from({ length: 20_000 }, (_, position) => {
    const crop = drawCrop(augmentation, 2, position, 1, { height: 200, width: 200 });
    return Math.log(crop.width / crop.height);
  });
  const mean = square.reduce((sum, x) => sum + x, 0) / square.length;
  assert.ok(Math.abs(mean) < 0.006, `mean logarithm ${mean}`);
});

test('an image too narrow for any try gets the largest centred window allowed', () => {
  const tall = drawCrop({ ...augmentation, cropScale: [1, 1] }, 1, 0, 1, { height: 90, width: 10 });
  assert.deepEqual(tall, { top: 38, left: 0, height: 13, width: 10 });
  const wide = drawCrop({ ...augmentation, cropScale: [1, 1] }, 1, 0, 1, { height: 9, width: 90 });
  assert.deepEqual(wide, { top: 0, left: 39, height: 9, width: 12 });
  const whole = drawCrop({ ...augmentation, cropScale: [2, 2] }, 1, 0, 1, { height: 9, width: 9 });
  assert.deepEqual(whole, { top: 0, left: 0, height: 9, width: 9 });
  const pixel = drawCrop(augmentation, 1, 0, 1, { height: 1, width: 1 });
  assert.deepEqual(pixel, { top: 0, left: 0, height: 1, width: 1 });
  const line = drawCrop(augmentation, 1, 0, 1, { height: 1, width: 50 });
  assert.deepEqual([line.height, line.width], [1, 1]);
});

test('flip, jitter, gray and blur come as often as asked', () => {
  const share = (holds: (view: (typeof views)[number]) => boolean): number =>
    views.filter(holds).length / views.length;
  assert.ok(
    near(
      share((view) => view.flip),
      0.5,
    ),
  );
  assert.ok(
    near(
      share((view) => view.brightness !== 1),
      0.8,
    ),
  );
  assert.ok(
    near(
      share((view) => view.gray),
      0.2,
    ),
  );
  assert.ok(
    near(
      share((view) => view.sigma > 0),
      0.5,
    ),
  );
  assert.ok(
    near(
      share((view) => view.flip && view.gray),
      0.1,
    ),
    'flip and gray are independent',
  );
});

test('factors, hue and sigma fill their ranges; without jitter they are neutral', () => {
  const range = (values: number[]): [number, number] => [
    values.reduce((least, x) => Math.min(least, x), Infinity),
    values.reduce((most, x) => Math.max(most, x), -Infinity),
  ];
  const jittered = views.filter((view) => view.brightness !== 1);
  for (const name of ['brightness', 'contrast', 'saturation'] as const) {
    const [least, most] = range(jittered.map((view) => view[name]));
    assert.ok(least >= 0.6 && least < 0.602 && most < 1.4 && most > 1.398, name);
  }
  const [leastHue, mostHue] = range(jittered.map((view) => view.hue));
  assert.ok(leastHue >= -0.1 && leastHue < -0.0995 && mostHue < 0.1 && mostHue > 0.0995);
  const [, mostSigma] = range(views.map((view) => view.sigma));
  assert.ok(mostSigma < 2 && mostSigma > 1.99);
  assert.ok(views.every((view) => view.sigma === 0 || view.sigma >= 0.1));
  for (const view of views.filter((other) => other.brightness === 1)) {
    assert.deepEqual([view.contrast, view.saturation, view.hue], [1, 1, 0]);
  }
});

test('a strength above 1 never makes a negative factor', () => {
  const strong = { ...augmentation, brightness: 3, jitterProbability: 1 };
  const factors = views.map((_, position) => drawView(strong, 1, position, 1, image).brightness);
  assert.ok(factors.every((factor) => factor >= 0 && factor < 4));
});

test('views, positions and seeds draw apart; the same address draws the same', () => {
  const one = drawView(augmentation, 1, 7, 1, image);
  assert.deepEqual(drawView(augmentation, 1, 7, 1, image), one);
  assert.notDeepEqual(drawView(augmentation, 1, 7, 2, image), one);
  assert.notDeepEqual(drawView(augmentation, 1, 8, 1, image), one);
  assert.notDeepEqual(drawView(augmentation, 2, 7, 1, image), one);
});

test('turning one augmentation off leaves the draws of the others as they were', () => {
  const one = drawView(augmentation, 1, 7, 1, image);
  const off = { ...augmentation, jitterProbability: 0, blurProbability: 0 };
  const other = drawView(off, 1, 7, 1, image);
  assert.deepEqual([other.crop, other.flip, other.gray], [one.crop, one.flip, one.gray]);
});
