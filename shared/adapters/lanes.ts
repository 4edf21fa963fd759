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
