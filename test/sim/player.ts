/**
 * A process that plays seeds: started by `main.ts` with the hooks in place, it takes ranges of
 * seeds as messages and answers with what came of them.
 */
import { writeSync } from 'node:fs';
import { type Outcome, play } from './cluster.ts';
import { installMachine } from './machine.ts';
import { scenarioOf } from './scenario.ts';
import { real, violated } from './world.ts';

/** To do: the seeds; with `trace` every line of their histories goes to standard output. */
export interface Order {
  seeds: number[];
  trace: boolean;
}

export interface Answer {
  outcomes: Outcome[];
  seconds: number;
}

installMachine();
// A real process would end here.
process.on('unhandledRejection', (error) => {
  violated(`unhandled rejection: ${(error as Error)?.stack ?? String(error)}`);
});

async function obey({ seeds, trace }: Order): Promise<Answer> {
  const began = real.now();
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    const say = trace ? (line: string) => void writeSync(1, `${line}\n`) : null;
    outcomes.push(await play(scenarioOf(seed), say));
    await new Promise((resolve) => real.setImmediate(resolve));
  }
  return { outcomes, seconds: (real.now() - began) / 1000 };
}

process.on('message', (order: Order) => {
  void obey(order).then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit(0));
