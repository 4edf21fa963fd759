/**
 * One augmented view from numbers drawn elsewhere (shared/core/view): geometry by matrices, colour
 * by elementwise formulas, in the fixed order brightness, contrast, saturation, hue, gray.
 *
 * Colour follows torchvision's tensor functions: blends clamped to [0, 1], contrast towards the
 * image's mean gray, hue as a rotation in HSV. Every factor has a neutral value, so that all images
 * take the same path and a leaf has one shape.
 */
import { imageNetMean, imageNetStd } from '../../shared/core/preprocessing.ts';
import type { ViewInput } from '../../shared/core/view.ts';
import { colourColumns } from '../../shared/core/view.ts';
import { type Tensor2D, type Tensor3D, type Tensor4D, tf } from './tfjs.ts';

/** ITU-R 601 luma as torchvision rounds it. */
const grayWeights = [0.2989, 0.587, 0.114] as const;

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
 * On the way an image is [row, channel, column]: then rows mix as [m, size, canvas] times
 * [m, canvas, 3·canvas], columns as [m, 3·size, canvas] times [m, canvas, size], and a channel is
 * long runs of memory. So nothing is transposed but the pixels, once, and the view, once.
 */
export function augment(pixels: Tensor4D, view: ViewTensors): Tensor4D {
  return tf.tidy(() => {
    let x = mixRows(view.rows, tf.transpose(pixels, [0, 1, 3, 2])); // [m, size, 3, canvas]
    x = mixColumns(x, view.columns); //                                [m, size, 3, size]
    x = colour(tf.div(x, 255), view.colour);
    if (view.blur) x = mixRows(view.blur.rows, mixColumns(x, view.blur.columns));
    x = tf.transpose(x, [0, 1, 3, 2]); //                              [m, size, size, 3]
    return clamp(x); // a blur's weights sum to 1 only within rounding
  });
}

/** What the network takes: ImageNet's mean 0 and standard deviation 1. */
export function standardise(view: Tensor4D): Tensor4D {
  return tf.tidy(() => tf.div(tf.sub(view, [...imageNetMean]), [...imageNetStd]));
}

/** matrix [m, out, in] on the rows of x [m, in, 3, columns] → [m, out, 3, columns] */
function mixRows(matrix: Tensor3D, x: Tensor4D): Tensor4D {
  const [m, inner, channels, columns] = x.shape;
  const flat = tf.reshape(x, [m, inner, channels * columns]) as Tensor3D;
  return tf.reshape(tf.matMul(matrix, flat), [m, matrix.shape[1], channels, columns]);
}

/** matrix [m, out, in] on the columns of x [m, rows, 3, in] → [m, rows, 3, out] */
function mixColumns(x: Tensor4D, matrix: Tensor3D): Tensor4D {
  const [m, rows, channels, inner] = x.shape;
  const flat = tf.reshape(x, [m, rows * channels, inner]) as Tensor3D;
  const mixed = tf.matMul(flat, matrix, false, true);
  return tf.reshape(mixed, [m, rows, channels, matrix.shape[1]]);
}

/** Red, green and blue of m images, [m, rows·columns] each. */
type Planes = [Tensor2D, Tensor2D, Tensor2D];

/** x [m, rows, 3, columns] in [0, 1]; factors [m, colourColumns.length] */
function colour(x: Tensor4D, table: Tensor2D): Tensor4D {
  const [m, rows, channels, columns] = x.shape;
  const [brightness, contrast, saturation, hue, gray] = tf.split(
    table,
    colourColumns.length,
    1,
  ) as [
    Tensor2D, // [m, 1] each
    Tensor2D,
    Tensor2D,
    Tensor2D,
    Tensor2D,
  ];
  let y = tf.split(x, channels, 2).map((plane) => tf.reshape(plane, [m, rows * columns])) as Planes;
  y = each(y, (plane) => clamp(tf.mul(plane, brightness)));
  y = blend(y, tf.mean(grayOf(y), 1, true), contrast);
  y = blend(y, grayOf(y), saturation);
  y = rotateHue(y, hue);
  y = blend(y, grayOf(y), tf.sub(1, gray));
  return tf.concat(
    y.map((plane) => tf.reshape(plane, [m, rows, 1, columns]) as Tensor4D),
    2,
  );
}

function each(planes: Planes, change: (plane: Tensor2D, i: number) => Tensor2D): Planes {
  return planes.map(change) as Planes;
}

/** factor·x + (1 − factor)·other, clamped; other [m, 1] or [m, rows·columns]. */
function blend(x: Planes, other: Tensor2D, factor: Tensor2D): Planes {
  const rest = tf.mul(other, tf.sub(1, factor));
  return each(x, (plane) => clamp(tf.add(tf.mul(plane, factor), rest)));
}

function clamp<T extends Tensor2D | Tensor4D>(x: T): T {
  return tf.clipByValue(x, 0, 1);
}

function grayOf([r, g, b]: Planes): Tensor2D {
  const [ofRed, ofGreen, ofBlue] = grayWeights;
  return tf.add(tf.add(tf.mul(r, ofRed), tf.mul(g, ofGreen)), tf.mul(b, ofBlue));
}

/**
 * Turns the hue; value and chroma stay.
 *
 * With h in sixths of a turn, V the largest channel and C = V − the least, channel n of the result
 * is V − C·clamp(min(k, 4 − k)) for k = (n + h) mod 6, n = 5, 3, 1 for red, green, blue.
 */
function rotateHue([r, g, b]: Planes, turns: Tensor2D): Planes {
  const value = tf.maximum(tf.maximum(r, g), b) as Tensor2D;
  const chroma = tf.sub(value, tf.minimum(tf.minimum(r, g), b)) as Tensor2D;
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
  const shift = tf.mul(turns, 6); // [m, 1]
  return each([r, g, b], (_, i) => {
    const sixths = tf.add(h, tf.add(shift, [5, 3, 1][i] as number));
    const k = tf.sub(sixths, tf.mul(tf.floor(tf.div(sixths, 6)), 6));
    const fall = clamp(tf.minimum(k, tf.sub(4, k)) as Tensor2D);
    return clamp(tf.sub(value, tf.mul(chroma, fall)) as Tensor2D);
  });
}
