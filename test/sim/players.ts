/** The processes that play seeds, as many at once as asked, each taking the next range when done. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Outcome } from './cluster.ts';
import type { Answer, Figures, Order } from './player.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export class Players {
  private readonly children: ChildProcess[];
  private readonly trace: boolean;

  /** `mutation`: the known bug that all of them play with, or null. */
  constructor(count: number, mutation: string | null, trace = false) {
    this.trace = trace;
    const env = mutation === null ? process.env : { ...process.env, TANDEM_SIM_MUTATION: mutation };
    this.children = Array.from({ length: Math.max(1, count) }, () =>
      fork(path('./player.js'), {
        env,
        execArgv: ['--import', new URL('./register.js', import.meta.url).href],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    );
  }

  /** What the players are asked besides seeds. */
  order: Omit<Order, 'seeds' | 'trace'> = {};

  /** Plays all seeds; `done` hears of each range, and ends it early by answering false. */
  async each(
    seeds: readonly number[],
    chunk: number,
    done: (outcomes: Outcome[]) => boolean | void,
  ): Promise<void> {
    let next = 0;
    const busy = this.children.map(async (child) => {
      while (next < seeds.length) {
        const range = seeds.slice(next, next + chunk);
        next += range.length;
        const { outcomes } = await ask(child, {
          ...this.order,
          seeds: range,
          trace: this.trace,
        });
        if (done(outcomes) === false) next = seeds.length;
      }
    });
    await Promise.all(busy);
  }

  async pace(): Promise<Figures> {
    const [child] = this.children;
    const answer = child && (await ask(child, { seeds: [], trace: this.trace, pace: true }));
    if (answer?.pace === undefined) throw new Error('no figures came');
    return answer.pace;
  }

  close(): void {
    for (const child of this.children) child.disconnect();
  }
}

function ask(child: ChildProcess, order: Order): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null) =>
      reject(
        new Error(`a player ended with status ${code ?? signal} on seeds ${order.seeds.join(' ')}`),
      );
    child.once('exit', ended);
    child.once('message', (answer: Answer) => {
      child.off('exit', ended);
      resolve(answer);
    });
    child.send(order);
  });
}
