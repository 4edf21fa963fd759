/**
 * One augmented view from numbers drawn elsewhere (shared/core/view): geometry by matrices, colour
 * by elementwise formulas, in the fixed order brightness, contrast, saturation, hue, gray.
 *
 * Colour follows torchvision's tensor functions: blends clamped to [0, 1], contrast towards the
 * image's mean gray, hue as a rotation in HSV. Every factor has a neutral value, so that all images
 * take the same path and a leaf has one shape.
 */
import type { ViewInput } from '../../shared/core/view.ts';
import { colourColumns } from '../../shared/core/view.ts';
import { type Tensor2D, type Tensor3D, type Tensor4D, tf } from './tfjs.ts';

const imageNetMean = [0.485, 0.456, 0.406];
const imageNetStd = [0.229, 0.224, 0.225];
/** ITU-R 601 luma as torchvision rounds it. */
const grayWeights = [0.2989, 0.587, 0.114];

/** m images on square canvases, m views of them. Sides in pixels. */
export interface CanvasShape {
  m: number;
  canvas: number;
  size: number;
}

/** `ViewInput` in a backend's hands. */
export interface ViewTensors {
  /** [m, size, canvas] each */
  rows: Tensor3D;
  columns: Tensor3D;
  /** [m, colourColumns.length] */
  colour: Tensor2D;
  /** [m, size, size] each */
  blur: { rows: Tensor3D; columns: Tensor3D } | null;
}

export function shapeOf(pixels: Uint8Array, view: ViewInput): CanvasShape {
  const m = view.colour.length / colourColumns.length;
  const canvas = Math.round(Math.sqrt(pixels.length / (3 * m)));
  return { m, canvas, size: view.rows.length / (m * canvas) };
}

/** [m, canvas, canvas, 3] of 0 to 255 */
export function pixelTensor(pixels: Uint8Array, { m, canvas }: CanvasShape): Tensor4D {
  return tf.tensor4d(new Float32Array(pixels), [m, canvas, canvas, 3]);
}

export function viewTensors(view: ViewInput, { m, canvas, size }: CanvasShape): ViewTensors {
  const matrices = (values: Float32Array, inner: number): Tensor3D =>
    tf.tensor3d(values, [m, size, inner], 'float32');
  const { blur } = view;
  return {
    rows: matrices(view.rows, canvas),
    columns: matrices(view.columns, canvas),
    colour: tf.tensor2d(view.colour.slice(), [m, colourColumns.length]),
    blur: blur && { rows: matrices(blur.rows, size), columns: matrices(blur.columns, size) },
  };
}

/**
 * pixels [m, canvas, canvas, 3] of 0 to 255 → view [m, size, size, 3] of 0 to 1.
 *
 * The two axes are mixed in turn as [m, axis, other·3] matrices, so a view needs two transposes:
 * one after the rows, one before the blurred rows.
 */
export function augment(pixels: Tensor4D, view: ViewTensors): Tensor4D {
  return tf.tidy(() => {
    let x = mix(view.rows, pixels); // [m, size, canvas, 3]
    x = swap(x); //                    [m, canvas, size, 3]: columns first
    x = mix(view.columns, x); //       [m, size, size, 3]
    x = colour(tf.div(x, 255), view.colour);
    if (view.blur) x = mix(view.blur.columns, x);
    x = swap(x); //                    rows first again
    if (view.blur) x = mix(view.blur.rows, x);
    return tf.clipByValue(x, 0, 1); // a blur's weights sum to 1 only within rounding
  });
}

/** What the network takes: ImageNet's mean 0 and standard deviation 1. */
export function standardise(view: Tensor4D): Tensor4D {
  return tf.tidy(() => tf.div(tf.sub(view, imageNetMean), imageNetStd));
}

/** matrix [m, out, in] on the first spatial axis of x [m, in, other, 3] → [m, out, other, 3] */
function mix(matrix: Tensor3D, x: Tensor4D): Tensor4D {
  const [m, inner, other, channels] = x.shape;
  const flat = tf.reshape(x, [m, inner, other * channels]) as Tensor3D;
  const mixed = tf.matMul(matrix, flat);
  return tf.reshape(mixed, [m, matrix.shape[1], other, channels]);
}

/** [m, a, b, 3] → [m, b, a, 3] */
function swap(x: Tensor4D): Tensor4D {
  return tf.transpose(x, [0, 2, 1, 3]);
}

/** x [m, a, b, 3] in [0, 1]; factors [m, colourColumns.length] */
function colour(x: Tensor4D, table: Tensor2D): Tensor4D {
  const m = x.shape[0];
  const [brightness, contrast, saturation, hue, gray] = tf
    .split(table, colourColumns.length, 1)
    .map((column) => tf.reshape(column, [m, 1, 1, 1])) as [
    Tensor4D,
    Tensor4D,
    Tensor4D,
    Tensor4D,
    Tensor4D,
  ];
  let y = clamp(tf.mul(x, brightness));
  y = blend(y, tf.mean(grayOf(y), [1, 2, 3], true), contrast);
  y = blend(y, grayOf(y), saturation);
  y = rotateHue(y, hue);
  return blend(y, grayOf(y), tf.sub(1, gray));
}

/** factor·x + (1 − factor)·other, clamped. */
function blend(x: Tensor4D, other: Tensor4D, factor: Tensor4D): Tensor4D {
  return clamp(tf.add(tf.mul(x, factor), tf.mul(other, tf.sub(1, factor))));
}

function clamp(x: Tensor4D): Tensor4D {
  return tf.clipByValue(x, 0, 1);
}

/** [m, a, b, 3] → [m, a, b, 1] */
function grayOf(x: Tensor4D): Tensor4D {
  return tf.sum(tf.mul(x, grayWeights), 3, true);
}

/**
 * Turns the hue; value and chroma stay.
 *
 * With h in sixths of a turn, V the largest channel and C = V − the least, channel n of the result
 * is V − C·clamp(min(k, 4 − k)) for k = (n + h) mod 6, n = 5, 3, 1 for red, green, blue.
 */
function rotateHue(x: Tensor4D, turns: Tensor4D): Tensor4D {
  const value = tf.max(x, 3, true) as Tensor4D;
  const chroma = tf.sub(value, tf.min(x, 3, true)) as Tensor4D;
  const [r, g, b] = tf.split(x, 3, 3) as [Tensor4D, Tensor4D, Tensor4D];
  const fromRed = tf.sub(g, b);
  const fromGreen = tf.add(tf.sub(b, r), tf.mul(chroma, 2));
  const fromBlue = tf.add(tf.sub(r, g), tf.mul(chroma, 4));
  const scaled = tf.where(
    tf.equal(value, r),
    fromRed,
    tf.where(tf.equal(value, g), fromGreen, fromBlue),
  );
  // Gray has no hue: its chroma is 0, so whatever stands here is multiplied away.
  const h = tf.div(scaled, tf.maximum(chroma, 1e-12));
  const shift = tf.add(tf.mul(turns, 6), [5, 3, 1]); // [m, 1, 1, 3]
  const sixths = tf.add(h, shift); //                   [m, a, b, 3]
  const k = tf.sub(sixths, tf.mul(tf.floor(tf.div(sixths, 6)), 6));
  const fall = tf.clipByValue(tf.minimum(k, tf.sub(4, k)), 0, 1);
  return clamp(tf.sub(value, tf.mul(chroma, fall)));
}
