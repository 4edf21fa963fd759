/** Work on many items, a few at a time; the first failure ends it. */

/** Runs `work` over all items, `lanes` at a time, each lane with a number of its own from 0. */
export async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  work: (item: T, lane: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (_: unknown, number: number): Promise<void> => {
    while (next < items.length && !failed) {
      try {
        await work(items[next++]!, number);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
}

/** Lets so many pieces of work happen at a time; the others wait in order. */
export function turnstile(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return async (work) => {
    if (inside >= most) await new Promise<void>((resolve) => void waiting.push(resolve));
    else inside += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // The place is handed on.
      if (next === undefined) inside -= 1;
      else next();
    }
  };
}
