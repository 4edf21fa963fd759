/**
 * How soon an audit is to find a worker that computes wrongly.
 *
 * S = 32, W = 4 workers of equal pace; one of them flips a mantissa bit in a share q = 1/200 of the
 * leaves it computes, and a share p = 0.05 of all leaves is audited. Of n leaves of a worker in the
 * sums, pn are audited; of the 3n leaves of the others 3pn are, a third of them by it: pn checks. A
 * wrong leaf is found where it is audited or a check, so of its n(1 + p) leaves 2pnq are found: each
 * leaf finds it with 2pq/(1 + p), and the number of leaves until then is geometric, of mean
 * (1 + p)/(2pq) = 2,100. From that: the mean of 20 seeds lies within 0.448 and 1.835 of 2,100 (the
 * 0.1 % and 99.9 % points of a gamma distribution of shape 20), and no seed takes more than 9.9 of
 * such means (once in a thousand times 20 seeds).
 */
export const leaves = 32;
export const workers = 4;
/** Two results are compared within their step: what a worker computes of two steps comes on top. */
const compared = (2 * leaves) / workers;

export interface Claim {
  /** Leaves of the liar until it is found, in the mean. */
  mean: number;
  /** What the mean over the seeds keeps within. */
  meanLeast: number;
  meanMost: number;
  /** What no seed goes beyond. */
  most: number;
}

/** For 20 seeds. */
export function claimOf(audit: number, wrong: number): Claim {
  const mean = (1 + audit) / (2 * audit * wrong);
  return {
    mean,
    meanLeast: 0.448 * mean,
    meanMost: 1.835 * mean + compared,
    most: 9.9 * mean + compared,
  };
}
