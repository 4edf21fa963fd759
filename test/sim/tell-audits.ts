/** Plays `audits.ts` over 20 seeds and compares what comes out with `claim.ts`. */
import { claimOf } from './claim.ts';
import type { Outcome } from './cluster.ts';
import type { Lies } from './player.ts';
import type { Players } from './players.ts';

/** Seeds for which `claimOf` holds. */
const auditSeeds = 20;

const round = (value: number): string => Math.round(value).toLocaleString('en');

export async function tellAudits(
  players: Players,
  lies: Lies,
  from: number,
): Promise<{ holds: boolean; failed: Outcome[] }> {
  const claim = claimOf(lies.audit, lies.share);
  players.order = { lies };
  const seeds = Array.from({ length: auditSeeds }, (_, i) => from + i);
  const found: number[] = [];
  const failed: Outcome[] = [];
  await players.each([...seeds, 0], 1, (outcomes) => {
    for (const outcome of outcomes) {
      const { leaves, wrong } = outcome.liar;
      if (outcome.violation !== null) failed.push(outcome);
      else if (leaves === 0)
        console.log(`${round(lies.honest)} audits of honest workers: nobody was convicted`);
      else {
        found.push(leaves);
        const what = `found after ${round(leaves)} of its leaves, ${wrong} of them wrong`;
        console.log(`seed ${outcome.seed}: ${what}; all repaired`);
      }
    }
  });
  const mean = found.reduce((a, b) => a + b, 0) / found.length;
  const most = Math.max(...found);
  console.log(
    `${found.length} liars: found after ${round(mean)} leaves in the mean (predicted ` +
      `${round(claim.mean)}; claim: ${round(claim.meanLeast)} to ${round(claim.meanMost)}), after ` +
      `${round(most)} at most (claim: ${round(claim.most)})`,
  );
  const within = mean >= claim.meanLeast && mean <= claim.meanMost && most <= claim.most;
  return { holds: failed.length === 0 && within, failed };
}
