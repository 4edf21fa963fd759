/**
 * Medians and their intervals, without assuming a distribution.
 *
 * Times on a shared machine have long tails, so nothing here is a mean. The interval of a median is
 * that of order statistics: between the k-th smallest and the k-th largest of n values lies the true
 * median with probability 1 − 2·P(Binomial(n, 1/2) < k). Under six values no such interval reaches
 * 95 %; then it spans them all, and `coverage` says what that is worth.
 */

export interface Interval {
  low: number;
  high: number;
  /** Probability that the true median lies within, at least 0.95 where there are six values. */
  coverage: number;
}

const blocksMax = 25;

/** The middle value, or the mean of the two middle ones. Throws on an empty list. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const half = sorted.length / 2;
  if (sorted.length === 0) throw new RangeError('a median needs at least one value');
  const upper = sorted[Math.floor(half)] as number;
  return Number.isInteger(half) ? ((sorted[half - 1] as number) + upper) / 2 : upper;
}

/** The value below which a share of the values lies (nearest rank), share in (0, 1]. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = ascending(values);
  if (sorted.length === 0) throw new RangeError('a quantile needs at least one value');
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

/** The narrowest pair of order statistics that holds the median with 95 %. */
export function medianInterval(values: readonly number[], confidence = 0.95): Interval {
  const sorted = ascending(values);
  const n = sorted.length;
  if (n === 0) throw new RangeError('an interval needs at least one value');
  // `tail` is P(Binomial(n, 1/2) < k), `term` the probability of exactly k.
  const allowed = (1 - confidence) / 2;
  let k = 1;
  let tail = 0.5 ** n;
  let term = tail * n;
  while (tail + term <= allowed && 2 * (k + 1) <= n) {
    tail += term;
    term = (term * (n - k)) / (k + 1);
    k += 1;
  }
  const coverage = Math.max(0, 1 - 2 * tail);
  return { low: sorted[k - 1] as number, high: sorted[n - k] as number, coverage };
}

/**
 * The median slope of all pairs (Theil and Sen) of values at equal distances, a unit a step, with
 * its 95 % interval by Kendall's tau. Neighbours that resemble each other make such an interval too
 * narrow, so the values enter as medians of at most `blocksMax` blocks. Null below eight values.
 */
export function slope(values: readonly number[]): { slope: number; interval: Interval } | null {
  const length = Math.max(1, Math.floor(values.length / blocksMax));
  const blocks: number[] = [];
  for (let i = 0; i + length <= values.length; i += length) {
    blocks.push(median(values.slice(i, i + length)));
  }
  const n = blocks.length;
  if (n < 8) return null;
  const slopes: number[] = [];
  for (const [i, from] of blocks.entries()) {
    for (const [j, to] of blocks.entries()) {
      if (j > i) slopes.push((to - from) / ((j - i) * length));
    }
  }
  const sorted = ascending(slopes);
  const spread = 1.96 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const rank = Math.max(0, Math.floor((sorted.length - spread) / 2));
  const interval = {
    low: sorted[rank] as number,
    high: sorted[sorted.length - 1 - rank] as number,
    coverage: 0.95,
  };
  return { slope: median(slopes), interval };
}

/** The ratios of what was measured side by side, round by round. */
export function pairedRatios(peer: readonly number[], ours: readonly number[]): number[] {
  return peer.slice(0, ours.length).map((value, i) => value / (ours[i] as number));
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
