/**
 * The nearest known name to one that was mistyped.
 *
 * Distance is Damerau-Levenshtein in its "optimal string alignment" form: insert, delete, replace,
 * or swap two neighbours, one each. A name is offered only when it is near enough to be a slip.
 */

/** Edits that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The one of `known` that `name` most likely meant, or null where nothing is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_ ]/g, '');
  const wanted = plain(name);
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== null && bestDistance <= Math.max(1, Math.floor(wanted.length / 3))) return best;
  // `--lr` or `--check`: too short for edits, yet the start of exactly one name.
  const begun = known.filter((candidate) => plain(candidate).startsWith(wanted));
  return wanted.length >= 3 && begun.length === 1 ? (begun[0] ?? null) : null;
}

/** ` Did you mean "batch"?`, or nothing; to be appended to a message. */
export function didYouMean(name: string, known: readonly string[], prefix = ''): string {
  const found = nearest(name, known);
  return found === null ? '' : ` Did you mean "${prefix}${found}"?`;
}
