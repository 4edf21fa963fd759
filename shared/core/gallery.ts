/** Which rows are nearest to one, and which of many are looked at: pure, and the same everywhere. */

/** At most `most` places from 0 to count - 1, evenly spread, ascending. */
export function spreadOver(count: number, most: number): number[] {
  const chosen = Math.min(count, most);
  return Array.from({ length: chosen }, (_, i) => Math.floor((i * count) / chosen));
}

/**
 * The `most` rows among `searched` with the greatest inner product with row `query`, which is none
 * of them; nearest first, ties to the one that stands first. Rows [n, width] of length 1.
 */
export function nearestRows(
  rows: Float32Array,
  width: number,
  query: number,
  searched: readonly number[],
  most: number,
): { row: number; similarity: number }[] {
  const found: { row: number; similarity: number }[] = [];
  for (const row of searched) {
    if (row === query) continue;
    let similarity = 0;
    for (let j = 0; j < width; j += 1)
      similarity += rows[query * width + j]! * rows[row * width + j]!;
    let place = found.length;
    while (place > 0 && found[place - 1]!.similarity < similarity) place -= 1;
    if (place < most) found.splice(place, 0, { row, similarity });
    if (found.length > most) found.pop();
  }
  return found;
}
