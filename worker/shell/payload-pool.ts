/**
 * The memory of gradients, used again: a leaf's payload has tens of megabytes, and fresh pages for
 * each cost more than filling them.
 *
 * It is shared memory, so the compute thread writes where the network's thread reads. A payload that
 * was offered to the coordinator may still stand in a queue when its step is over, for a wish that
 * was given up, so it rests for one step more.
 */

/** Kept for later; more are left to the collector. */
const keptMax = 8;

export interface PayloadPool {
  /** Whose values are of no meaning yet. */
  take(): Float32Array;
  /** Nobody has seen it but who took it. */
  give(payload: Float32Array): void;
  /** It was offered; it is free after the step that follows. */
  rest(payload: Float32Array): void;
  /** A step is over. */
  turn(): void;
}

export function payloadPool(elements: number): PayloadPool {
  const free: Float32Array[] = [];
  let resting: Float32Array[] = [];
  let offered: Float32Array[] = [];

  const give = (payload: Float32Array): void => {
    const ours = payload.buffer instanceof SharedArrayBuffer && payload.length === elements;
    if (ours && free.length < keptMax) free.push(payload);
  };
  return {
    take: () => free.pop() ?? new Float32Array(new SharedArrayBuffer(4 * elements)),
    give,
    rest: (payload) => void offered.push(payload),
    turn() {
      resting.forEach(give);
      [resting, offered] = [offered, []];
    },
  };
}
