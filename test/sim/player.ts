/**
 * A process that plays seeds: started by `main.ts` with the hooks in place, it takes ranges of
 * seeds as messages and answers with what came of them.
 */
import { writeSync } from 'node:fs';
import { type Outcome, play } from './cluster.ts';
import { honestRun, lyingRun } from './audits.ts';
import { installMachine } from './machine.ts';
import { type Pace, paceOf, shareWithSlowOne } from './pace.ts';
import { crashScenario, scenarioOf } from './scenario.ts';
import { real, violated } from './world.ts';

/** To do: the seeds; with `trace` every line of their histories goes to standard output. */
export interface Order {
  seeds: number[];
  trace: boolean;
  /** Instead of seeds: the figures of `pace.ts`. */
  pace?: boolean;
  /** `seeds` are effects of the coordinator of `crashScenario`, and it dies at each; 0: at none. */
  crash?: { when: 'before' | 'during' | 'after'; powerCut: boolean };
  /** As `lyingRun` of `audits.ts`; seed 0: `honestRun` of so many audits. */
  lies?: Lies;
}

export interface Lies {
  audit: number;
  share: number;
  honest: number;
}

export interface Answer {
  outcomes: Outcome[];
  seconds: number;
  pace?: Figures;
}

export interface Figures {
  lost: Pace[];
  /** Throughput with one worker ten times slower, as a share of the usual one. */
  share: number;
}

/** A pipe whose reader is busy takes a part, or nothing for a while (`EAGAIN`). */
function writeWhole(text: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const waitMs = 5;
  let bytes = Buffer.from(text);
  for (let tries = 0; bytes.length > 0; ) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      tries += 1;
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || tries > 12_000) throw error;
      Atomics.wait(pause, 0, 0, waitMs);
    }
  }
}

installMachine();
// A real process would end here.
process.on('unhandledRejection', (error) => {
  violated(`unhandled rejection: ${(error as Error)?.stack ?? String(error)}`);
});

async function figures(): Promise<Figures> {
  const awayMs = 600_000;
  return {
    lost: [
      await paceOf('SIGKILL', { kind: 'kill-worker', worker: 1, awayMs }),
      await paceOf('SIGSTOP', { kind: 'stop-worker', worker: 1, awayMs }),
    ],
    share: await shareWithSlowOne(),
  };
}

async function obey({ seeds, trace, pace, crash, lies }: Order): Promise<Answer> {
  if (pace) return { outcomes: [], seconds: 0, pace: await figures() };
  const began = real.now();
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    const say = trace ? (line: string) => writeWhole(`${line}\n`) : null;
    if (lies) {
      const { audit, share, honest } = lies;
      outcomes.push(await (seed === 0 ? honestRun(honest) : lyingRun(seed, audit, share, say)));
      continue;
    }
    const scenario = crash
      ? crashScenario(seed === 0 ? null : { effect: seed, ...crash })
      : scenarioOf(seed);
    outcomes.push({ ...(await play(scenario, say)), seed });
    await new Promise((resolve) => real.setImmediate(resolve));
  }
  return { outcomes, seconds: (real.now() - began) / 1000 };
}

process.on('message', (order: Order) => {
  void obey(order).then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit(0));
