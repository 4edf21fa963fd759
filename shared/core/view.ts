/**
 * One augmented view of a micro-batch as numbers: geometry as matrices, colour as factors.
 *
 * Crop, antialiased resize, flip and blur are separable linear maps, so a view is
 *   colour(rows · canvas · columnsᵀ), then blurRows · view · blurColumnsᵀ, then normalisation.
 * The matrices are made on the host by correctly rounded operations only (NUMERICS 3).
 */

/** Columns of `ViewInput.colour`. Neutral values in brackets. */
export const colourColumns = [
  'brightness', // factor [1]
  'contrast', // factor [1]
  'saturation', // factor [1]
  'hue', // turns [0]
  'gray', // 1: gray, [0]: colour
] as const;

export interface ViewInput {
  /** [m, size, canvas] */
  rows: Float32Array;
  /** [m, size, canvas] */
  columns: Float32Array;
  /** [m, colourColumns.length] */
  colour: Float32Array;
  /** [m, size, size] each; null where no image of the method is ever blurred. */
  blur: { rows: Float32Array; columns: Float32Array } | null;
}
