/**
 * The numbers drawn for one view of one image: crop, flip, colour, blur (SimSiam's recipe).
 *
 * Every draw stands at a fixed index of its purpose, whether the others are used or not: crop tries
 * k = 0…9 take indices 2k (area) and 2k + 1 (ratio), its place 20 and 21; jitter takes 0 (whether)
 * and 1–4 (brightness, contrast, saturation, hue); blur 0 (whether) and 1 (sigma). The crop is
 * torchvision's RandomResizedCrop: whole pixels, ten tries, then the largest centred window within
 * the allowed ratios. Colour operations have one order, that of the columns in view.ts.
 */
import { uniform } from './draws.ts';
import { exp, log } from './exact.ts';
import type { AugmentationMethod } from './method.ts';

/** A window in an image, whole pixels. */
export interface CropWindow {
  top: number;
  left: number;
  height: number;
  width: number;
}

export interface ViewDraws {
  crop: CropWindow;
  /** Left and right exchanged. */
  flip: boolean;
  /** Factors; 1 where the jitter is not applied. */
  brightness: number;
  contrast: number;
  saturation: number;
  /** Turns of the hue circle; 0 where the jitter is not applied. */
  hue: number;
  gray: boolean;
  /** Standard deviation of the blur in pixels of the view; 0: none. */
  sigma: number;
}

export interface ImageSize {
  /** Pixels, at least 1. */
  height: number;
  width: number;
}

const cropTries = 10;
const topIndex = 2 * cropTries;
const leftIndex = topIndex + 1;

/** The draws of view `view` (1 or 2) of the image at stream position `position`. */
export function drawView(
  augmentation: AugmentationMethod,
  seed: number,
  position: number,
  view: number,
  image: ImageSize,
): ViewDraws {
  return {
    crop: drawCrop(augmentation, seed, position, view, image),
    ...drawColours(augmentation, seed, position, view),
  };
}

/** What is drawn for a view without looking at the image: all but the crop's window. */
function drawColours(
  augmentation: AugmentationMethod,
  seed: number,
  position: number,
  view: number,
): Omit<ViewDraws, 'crop'> {
  const jitters = uniform(seed, 'jitter', position, view, 0) < augmentation.jitterProbability;
  const factor = (index: number, strength: number): number => {
    if (!jitters) return 1;
    const least = Math.max(0, 1 - strength);
    return between(least, 1 + strength, uniform(seed, 'jitter', position, view, index));
  };
  const hue = uniform(seed, 'jitter', position, view, 4);
  const [leastSigma, mostSigma] = augmentation.blurSigma;
  const blurs = uniform(seed, 'blur', position, view, 0) < augmentation.blurProbability;
  return {
    flip: uniform(seed, 'flip', position, view, 0) < augmentation.flipProbability,
    brightness: factor(1, augmentation.brightness),
    contrast: factor(2, augmentation.contrast),
    saturation: factor(3, augmentation.saturation),
    hue: jitters ? between(-augmentation.hue, augmentation.hue, hue) : 0,
    gray: uniform(seed, 'gray', position, view, 0) < augmentation.grayProbability,
    sigma: blurs ? between(leastSigma, mostSigma, uniform(seed, 'blur', position, view, 1)) : 0,
  };
}

/** How many numbers `numbersOfView` gives. */
export const viewNumbers: number = leftIndex + 1 + 7;

/**
 * Every number drawn for a view that is known without the image, in a fixed order: the crop's 22
 * draws in [0, 1), then flip, brightness, contrast, saturation, hue, gray, sigma. Together with the
 * image they give the view; without it they can still be made again and compared.
 */
export function numbersOfView(
  augmentation: AugmentationMethod,
  seed: number,
  position: number,
  view: number,
): number[] {
  const crop = Array.from({ length: leftIndex + 1 }, (_, index) =>
    uniform(seed, 'crop', position, view, index),
  );
  const d = drawColours(augmentation, seed, position, view);
  const rest = [d.brightness, d.contrast, d.saturation, d.hue, d.gray ? 1 : 0, d.sigma];
  return [...crop, d.flip ? 1 : 0, ...rest];
}

/** The window that RandomResizedCrop would cut, relative to the image's top-left corner. */
export function drawCrop(
  augmentation: Pick<AugmentationMethod, 'cropScale' | 'cropRatio'>,
  seed: number,
  position: number,
  view: number,
  { height, width }: ImageSize,
): CropWindow {
  const draw = (index: number): number => uniform(seed, 'crop', position, view, index);
  const [leastScale, mostScale] = augmentation.cropScale;
  const [leastRatio, mostRatio] = augmentation.cropRatio;
  const [leastLog, mostLog] = [log(leastRatio), log(mostRatio)];
  for (let attempt = 0; attempt < cropTries; attempt += 1) {
    const area = height * width * between(leastScale, mostScale, draw(2 * attempt));
    const ratio = exp(between(leastLog, mostLog, draw(2 * attempt + 1)));
    const w = Math.floor(Math.sqrt(area * ratio) + 0.5);
    const h = Math.floor(Math.sqrt(area / ratio) + 0.5);
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const top = Math.floor(draw(topIndex) * (height - h + 1));
    const left = Math.floor(draw(leftIndex) * (width - w + 1));
    return { top, left, height: h, width: w };
  }
  return widestWindow(leastRatio, mostRatio, height, width);
}

/** The largest centred window whose ratio is allowed. */
function widestWindow(
  leastRatio: number,
  mostRatio: number,
  height: number,
  width: number,
): CropWindow {
  const ratio = width / height;
  let h = height;
  let w = width;
  if (ratio < leastRatio) h = Math.max(1, Math.floor(width / leastRatio + 0.5));
  else if (ratio > mostRatio) w = Math.max(1, Math.floor(height * mostRatio + 0.5));
  return {
    top: Math.floor((height - h) / 2),
    left: Math.floor((width - w) / 2),
    height: h,
    width: w,
  };
}

function between(least: number, most: number, draw: number): number {
  return least + (most - least) * draw;
}
