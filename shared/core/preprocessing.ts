/**
 * What an image goes through before the network sees it, as a value that can be written down.
 *
 * Every encoder here takes RGB in [0, 1], ImageNet's mean 0 and standard deviation 1: torchvision's
 * weights, facebookresearch/simsiam's and lightly's as well. An encoder that was trained on anything
 * else is refused, for its features would be wrong without any sign of it.
 */

export const imageNetMean = [0.485, 0.456, 0.406] as const;
export const imageNetStd = [0.229, 0.224, 0.225] as const;

export interface Preprocessing {
  colour: 'rgb';
  /** Of the numbers before mean and standard deviation. */
  range: readonly [number, number];
  /** Subtracted, then divided by, a channel each. */
  mean: readonly number[];
  std: readonly number[];
  crop: 'largest centred square';
  resize: 'bilinear, antialiased';
  /** Side of the image that the network is meant for, pixels. */
  size: number;
}

/** The one preprocessing that the compute room knows, at a size. */
export function preprocessingAt(size: number): Preprocessing {
  return {
    colour: 'rgb',
    range: [0, 1],
    mean: imageNetMean,
    std: imageNetStd,
    crop: 'largest centred square',
    resize: 'bilinear, antialiased',
    size,
  };
}
