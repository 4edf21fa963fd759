/**
 * Weights that travel while they are made.
 *
 * A worker that has handed in its part asks for the state that the open step will commit, and gets
 * each piece as soon as the reducer has updated it, so that the broadcast hides behind the reduce.
 * Nobody computes with it before the step is announced: what was sent of a step that is given up
 * costs bytes, and the hash over the whole decides (NUMERICS 7).
 */
import { chunkBytes } from '../../shared/wire/limits.ts';

export interface EarlyWeights {
  /** The reducer begins to write what this step will commit. */
  begin(step: number, weights: Uint8Array, statistics: Uint8Array): void;
  /** So many bytes of what is sent of the weights are made, from the first on. */
  made(bytes: number): void;
  /** The running statistics are made too: that was all. */
  whole(): void;
  /** What was made is thrown away and will be made again. */
  drop(): void;
  /**
   * The next piece behind `offset` bytes of weights and running statistics, when it is made; null
   * where this step is not the one that is made or was made last, or the signal aborts.
   */
  next(step: number, offset: number, signal: AbortSignal): Promise<Uint8Array | null>;
}

export function earlyWeights(): EarlyWeights {
  let step = -1;
  let making: { weights: Uint8Array; statistics: Uint8Array } | null = null;
  let bytes = 0;
  let complete = false;
  const waiting = new Set<() => void>();

  const wake = () => {
    for (const go of [...waiting]) go();
  };
  const more = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const go = () => {
        waiting.delete(go);
        signal.removeEventListener('abort', go);
        resolve();
      };
      waiting.add(go);
      signal.addEventListener('abort', go);
    });
  const piece = (offset: number): Uint8Array | null => {
    if (making === null) return null;
    const { weights, statistics } = making;
    if (offset < bytes) return weights.subarray(offset, Math.min(bytes, offset + chunkBytes));
    const at = offset - weights.length;
    return complete && at >= 0 ? statistics.subarray(at, at + chunkBytes) : null;
  };

  return {
    begin(opened, weights, statistics) {
      [step, making, bytes, complete] = [opened, { weights, statistics }, 0, false];
      wake();
    },
    made(count) {
      bytes = count;
      wake();
    },
    whole() {
      complete = true;
      wake();
    },
    drop() {
      [step, making] = [-1, null];
      wake();
    },
    async next(wanted, offset, signal) {
      while (!signal.aborted && wanted >= step) {
        const found = wanted === step ? piece(offset) : null;
        if (found !== null) return found;
        await more(signal);
      }
      return null;
    },
  };
}
