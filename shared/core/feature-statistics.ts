/**
 * Figures of features [n, width] that need no network: their spread, and what a probe may see of
 * them. Sums run in f64 over the rows in the order that is given, so the figures have fixed bits.
 */
import { normaliseRows } from './knn.ts';

/**
 * Mean over channels of the *unbiased* standard deviation of x/‖x‖ over all rows: near 1/√width
 * where features use their room, 0 where every image has the same. Needs two rows; else 0.
 */
export function featureStd(features: Float32Array, width: number): number {
  const n = features.length / width;
  if (n < 2) return 0;
  const rows = normaliseRows(features, width);
  const { squares } = moments(rows, width, everyRow(n));
  let sum = 0;
  for (let j = 0; j < width; j += 1) sum += Math.sqrt(squares[j]! / (n - 1));
  return sum / width;
}

/**
 * Features less the mean of some rows, divided by their (biased) standard deviation, channel by
 * channel; channels that do not vary there are only centred. A copy.
 */
export function standardise(
  features: Float32Array,
  width: number,
  rows: readonly number[],
): Float32Array {
  const { mean, squares } = moments(features, width, rows);
  const scale = squares.map((sum) => (sum > 0 ? 1 / Math.sqrt(sum / rows.length) : 1));
  const out = new Float32Array(features.length);
  for (let first = 0; first < out.length; first += width)
    for (let j = 0; j < width; j += 1)
      out[first + j] = (features[first + j]! - mean[j]!) * scale[j]!;
  return out;
}

const everyRow = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Mean of each channel, and the sum of squares about it. */
function moments(
  features: Float32Array,
  width: number,
  rows: readonly number[],
): { mean: Float64Array; squares: Float64Array } {
  const mean = new Float64Array(width);
  for (const row of rows)
    for (let j = 0; j < width; j += 1) mean[j] = mean[j]! + features[row * width + j]!;
  for (let j = 0; j < width; j += 1) mean[j] = mean[j]! / rows.length;
  const squares = new Float64Array(width);
  for (const row of rows) {
    for (let j = 0; j < width; j += 1) {
      const apart = features[row * width + j]! - mean[j]!;
      squares[j] = squares[j]! + apart * apart;
    }
  }
  return { mean, squares };
}
