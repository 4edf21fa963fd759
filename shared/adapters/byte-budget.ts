/**
 * A bound on bytes that are kept for others, whoever they are: the oldest goes first.
 *
 * Whoever makes progress says so with `set` and is the newest again, so what is given up is what has
 * stood still for longest: an honest peer moves within milliseconds.
 */
export interface Hold {
  /** So many bytes are kept for this one now, which moves on; others may be given up for them. */
  set(bytes: number): void;
  /** As `set`, for one that stands where it stood. */
  grow(bytes: number): void;
  release(): void;
}

export interface ByteBudget {
  readonly bytes: number;
  /** `giveUp` ends what is kept, and with it the hold. */
  hold(giveUp: () => void): Hold;
}

export function byteBudget(bytesMax: number): ByteBudget {
  /** Bytes of each, the one that stands still for longest first. */
  const kept = new Map<() => void, number>();
  let total = 0;

  function take(giveUp: () => void): void {
    total -= kept.get(giveUp) ?? 0;
    kept.delete(giveUp);
  }

  function keep(giveUp: () => void, bytes: number): void {
    total += bytes - (kept.get(giveUp) ?? 0);
    kept.set(giveUp, bytes);
    while (total > bytesMax) {
      const oldest = kept.keys().next().value;
      // One alone may be larger than the bound.
      if (oldest === undefined || kept.size === 1) return;
      take(oldest);
      oldest();
    }
  }

  return {
    get bytes() {
      return total;
    },
    hold: (giveUp) => ({
      set(bytes) {
        take(giveUp);
        if (bytes > 0) keep(giveUp, bytes);
      },
      grow(bytes) {
        if (bytes > 0) keep(giveUp, bytes);
        else take(giveUp);
      },
      release: () => take(giveUp),
    }),
  };
}
