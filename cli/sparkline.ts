/**
 * Curves in text: one line of eighths of a block, or several lines of Braille dots.
 *
 * Both show a history as means of its stretches, so a long one fits and none of it is left out.
 */
const blocks = [...'▁▂▃▄▅▆▇█'];

/** At most so many values, each the mean of a stretch; null where none in it is finite. */
function stretches(values: readonly number[], most: number): (number | null)[] {
  const shown = Math.min(most, values.length);
  return Array.from({ length: shown }, (_, i) => {
    const from = Math.floor((i * values.length) / shown);
    const to = Math.floor(((i + 1) * values.length) / shown);
    const stretch = values.slice(from, to).filter(Number.isFinite);
    const sum = stretch.reduce((a, b) => a + b, 0);
    return stretch.length === 0 ? null : sum / stretch.length;
  });
}

/** The given range, or from the least to the greatest of what is known. */
function rangeOf(
  means: readonly (number | null)[],
  range: readonly [number, number] | null,
): readonly [number, number] {
  const known = means.filter((mean) => mean !== null);
  return range ?? [Math.min(...known), Math.max(...known)];
}

/**
 * So many columns at most, fewer where there are fewer values; a column is the mean of its stretch.
 * `range` null: from the least to the greatest. Values that are not finite leave a blank.
 */
export function sparkline(
  values: readonly number[],
  columns: number,
  range: readonly [number, number] | null = null,
): string {
  const means = stretches(values, columns);
  const [least, most] = rangeOf(means, range);
  return means
    .map((mean) => {
      if (mean === null) return ' ';
      // A flat line lies in the middle.
      const share = most > least ? (mean - least) / (most - least) : 0.5;
      return blocks[Math.max(0, Math.min(7, Math.floor(share * 8)))] ?? ' ';
    })
    .join('');
}

export interface Plot {
  /** Rows of text, the highest values first. */
  rows: string[];
  least: number;
  most: number;
}

/** Bits of a Braille cell: two columns of four dots, from the top. */
const dots = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** The values as a line through the whole width, two by four dots a character. */
export function linePlot(
  values: readonly number[],
  columns: number,
  rows: number,
  range: readonly [number, number] | null = null,
): Plot {
  const [wide, tall] = [2 * columns, 4 * rows];
  const means = stretches(values, wide);
  const [low, high] = rangeOf(means, range);
  const [least, most] = Number.isFinite(low) && Number.isFinite(high) ? [low, high] : [0, 1];
  const cells = Array.from({ length: rows }, () => Array.from({ length: columns }, () => 0));
  const put = (x: number, y: number): void => {
    const row = cells[y >> 2];
    if (row === undefined) return;
    row[x >> 1] = (row[x >> 1] ?? 0) | (dots[x % 2 === 0 ? 0 : 1][y % 4] ?? 0);
  };
  const heightOf = (mean: number): number => {
    const share = most > least ? (mean - least) / (most - least) : 0.5;
    return Math.round((1 - Math.max(0, Math.min(1, share))) * (tall - 1));
  };
  let before: { x: number; y: number } | null = null;
  for (const [i, mean] of means.entries()) {
    if (mean === null) {
      before = null;
      continue;
    }
    const x = means.length < 2 ? 0 : Math.round((i * (wide - 1)) / (means.length - 1));
    const y = heightOf(mean);
    const from: { x: number; y: number } = before ?? { x, y };
    const steps = Math.max(1, Math.abs(x - from.x), Math.abs(y - from.y));
    for (let k = 0; k <= steps; k += 1)
      put(
        Math.round(from.x + (k * (x - from.x)) / steps),
        Math.round(from.y + (k * (y - from.y)) / steps),
      );
    before = { x, y };
  }
  const text = cells.map((row) => row.map((bits) => String.fromCodePoint(0x2800 + bits)).join(''));
  return { rows: text.map((row) => row.replaceAll('\u2800', ' ')), least, most };
}
