/**
 * A curve in one line of text: eighths of a block, a column for a stretch of the history.
 */
const blocks = [...'▁▂▃▄▅▆▇█'];

/**
 * So many columns at most, fewer where there are fewer values; a column is the mean of its stretch.
 * `range` null: from the least to the greatest. Values that are not finite leave a blank.
 */
export function sparkline(
  values: readonly number[],
  columns: number,
  range: readonly [number, number] | null = null,
): string {
  const shown = Math.min(columns, values.length);
  const means: (number | null)[] = [];
  for (let i = 0; i < shown; i += 1) {
    const from = Math.floor((i * values.length) / shown);
    const to = Math.floor(((i + 1) * values.length) / shown);
    const stretch = values.slice(from, to).filter(Number.isFinite);
    const sum = stretch.reduce((a, b) => a + b, 0);
    means.push(stretch.length === 0 ? null : sum / stretch.length);
  }
  const known = means.filter((mean) => mean !== null);
  const [least, most] = range ?? [Math.min(...known), Math.max(...known)];
  return means
    .map((mean) => {
      if (mean === null) return ' ';
      // A flat line lies in the middle.
      const share = most > least ? (mean - least) / (most - least) : 0.5;
      return blocks[Math.max(0, Math.min(7, Math.floor(share * 8)))] ?? ' ';
    })
    .join('');
}
