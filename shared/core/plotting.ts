/**
 * What pictures of numbers share: scales, round ticks, thinning, smoothing, numbers as text.
 *
 * Equal input gives equal text, so a figure of a run has the same bytes wherever it is drawn.
 */

export interface Axis {
  least: number;
  most: number;
  /** Pixels of `least` and `most`. */
  from: number;
  to: number;
}

export interface Spot {
  x: number;
  y: number;
}

/** Share of the points to either side that a smoothed line is the mean of. */
const smoothedShare = 0.025;

/**
 * At most `most` spots with the same outline: the lowest and highest of each stretch, in order,
 * and the first and last of all.
 */
export function downsampled(spots: readonly Spot[], most: number): Spot[] {
  if (spots.length <= most) return [...spots];
  const stretches = Math.floor((most - 2) / 2);
  const inner = spots.slice(1, -1);
  const kept = [spots[0]!];
  for (let i = 0; i < stretches; i++) {
    const from = Math.floor((i * inner.length) / stretches);
    const to = Math.floor(((i + 1) * inner.length) / stretches);
    let [low, high] = [from, from];
    for (let at = from; at < to; at++) {
      if (inner[at]!.y < inner[low]!.y) low = at;
      if (inner[at]!.y > inner[high]!.y) high = at;
    }
    kept.push(inner[Math.min(low, high)]!);
    if (low !== high) kept.push(inner[Math.max(low, high)]!);
  }
  kept.push(spots[spots.length - 1]!);
  return kept;
}

/**
 * Mean over about 1/20 of the run around each spot. The stretch is even to both sides, so that the
 * line neither lags behind a fall nor ends anywhere but at the last spot.
 */
export function smoothed(spots: readonly Spot[]): Spot[] {
  const reach = Math.floor(spots.length * smoothedShare);
  const sums = [0];
  for (const { y } of spots) sums.push(sums[sums.length - 1]! + y);
  return spots.map(({ x }, i) => {
    const half = Math.min(reach, i, spots.length - 1 - i);
    return { x, y: (sums[i + half + 1]! - sums[i - half]!) / (2 * half + 1) };
  });
}

/**
 * Round values in [least, most], at most about `count`, in steps of 1, 2 or 5 × 10^n, none smaller
 * than `smallest`; and the decimals they need.
 */
export function ticks(
  least: number,
  most: number,
  count: number,
  smallest = 0,
): { values: number[]; digits: number } {
  const rough = Math.max((most - least) / count, smallest, 1e-9);
  let [unit, digits] = [1, 0];
  while (unit * 10 <= rough) unit *= 10;
  // Dividing anew each time keeps 0.001 what it is; multiplying by 0.1 would drift.
  for (let parts = 1; unit > rough; ) {
    parts *= 10;
    unit = 1 / parts;
    digits++;
  }
  const step = [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= rough)!;
  if (step >= unit * 10 && digits > 0) digits--;
  const values: number[] = [];
  for (let i = Math.ceil(least / step - 1e-9); i * step <= most + step * 1e-9; i++) {
    values.push(i * step);
  }
  return { values, digits };
}

/** Pixels of a value, to a tenth. */
export function pixel(axis: Axis, value: number): number {
  const share = (value - axis.least) / (axis.most - axis.least);
  return Math.round((axis.from + share * (axis.to - axis.from)) * 10) / 10;
}

/** Fixed digits, a true minus sign, no minus before nought. */
export function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  if (Number(text) === 0) return (0).toFixed(digits);
  return text.replace('-', '−');
}

/** At most `digits` decimals, no zeros at the end. */
export function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

/** 12345 as 12,345. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Text as it may stand in XML and HTML, in quotes too. */
export function escaped(text: string): string {
  // Control characters are not XML at all.
  return [...text]
    .filter((c) => c >= ' ')
    .join('')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}
