/**
 * Tells the decisions that changed from those that every step repeats.
 *
 * A step of a quiet run has the same leases, the same seal, the same commit as the one before: such
 * sentences differ in the step's number only and are worth one line. One that did not stand in the
 * two steps before is news again.
 */
const keptMax = 1024;
const quietSteps = 2;

/** Is this sentence of the coordinator's news? To be asked once a sentence, in their order. */
export function changedDecisions(): (line: string) => boolean {
  const seen = new Map<string, number>();
  let step = 0;
  return (line) => {
    const named = /\bstep (\d+)/.exec(line)?.[1];
    if (named !== undefined) step = Number(named);
    const sentence = line.replaceAll(/\bstep \d+/g, 'step');
    const before = seen.get(sentence);
    seen.delete(sentence);
    seen.set(sentence, step);
    if (seen.size > keptMax)
      for (const oldest of [...seen.keys()].slice(0, 64)) seen.delete(oldest);
    return before === undefined || Math.abs(step - before) > quietSteps;
  };
}
