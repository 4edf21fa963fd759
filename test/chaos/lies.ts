/**
 * A run with one worker that lies, in real processes: the shipped coordinator and workers that
 * compute exactly, on the small model.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../shared/core/events.ts';
import { freePort } from '../support/nats-server.ts';
import { smallModelPreload } from '../support/use-small-model.ts';
import { eventsOf, type Outcome, outcomeOf } from './outcome.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const workerProgram = fileURLToPath(new URL('./chaos-worker.js', import.meta.url));

export interface LiesOptions {
  run: string;
  data: string;
  steps: number;
  /** S, micro-batches of two images. */
  leaves: number;
  workers: number;
  audit: number;
  /** Share of the first worker's leaves that are wrong by one bit; 0: nobody lies. */
  share: number;
  /** Of the lies. */
  seed: number;
  /** Hears of every process that is started. */
  started: (child: ChildProcess) => void;
}

export interface LiesEnded {
  outcome: Outcome;
  events: RunEvent[];
  /** Side files of the ledger, where a wrong branch was moved. */
  aside: string[];
}

const liar = 'worker-1';

/** To the end of the run; rejects with what the coordinator said where it fails. */
export async function liesRun(options: LiesOptions): Promise<LiesEnded> {
  const { run, data, steps, leaves, workers, audit, share, seed } = options;
  const address = `127.0.0.1:${await freePort()}`;
  const coordinator = start([
    ...[bin, 'coordinator', '--data', data, '--run', run, '--listen', address],
    ...['--model', 'resnet18-cifar', '--size', '8', '--batch', `${2 * leaves}`],
    ...['--micro-batch', '2', '--steps', `${steps}`, '--checkpoint-every', '20', '--seed', '3'],
    ...['--audit', `${audit}`, '--min-workers', `${workers}`],
  ]);
  const crew: ChildProcess[] = [];
  let over = false;
  for (let place = 1; place <= workers; place += 1) {
    const name = `worker-${place}`;
    const lies = name === liar && share > 0 ? ['--lies', `${share}`, '--seed', `${seed}`] : [];
    crew.push(
      start([workerProgram, '--coordinator', address, '--name', name, '--exact', ...lies]).child,
    );
  }

  function start(args: readonly string[]) {
    const child = spawn(process.execPath, ['--import', smallModelPreload, ...args], {
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    options.started(child);
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-4000);
    });
    const ended = new Promise<number | string | null>((resolve) =>
      child.once('exit', (code, signal) => resolve(code ?? signal)),
    );
    return { child, ended, words: () => words };
  }

  try {
    const end = await coordinator.ended;
    over = true;
    if (end !== 0) throw new Error(`the coordinator ended with ${end}: ${coordinator.words()}`);
    const deadline = performance.now() + 10_000;
    const lives = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;
    while (crew.some(lives) && performance.now() < deadline) await sleep(50);
  } finally {
    if (!over) coordinator.child.kill('SIGKILL');
    for (const child of crew) child.kill('SIGKILL');
  }
  return {
    outcome: await outcomeOf(run, steps, true),
    events: eventsOf(run),
    aside: readdirSync(run).filter((name) => name.startsWith('ledger.wrong-')),
  };
}

/** What the events tell of the liar. */
export function tale(events: readonly RunEvent[]) {
  const of = <K extends RunEvent['kind']>(kind: K) =>
    events.filter((event): event is Extract<RunEvent, { kind: K }> => event.kind === kind);
  return {
    convicted: of('worker-convicted'),
    rewound: of('rewound'),
    aside: of('branch-set-aside'),
    /** Leaves of the liar in the sums until it was found. */
    leaves: of('step-committed')
      .flatMap(({ shares }) => shares ?? [])
      .filter(({ worker }) => worker === liar)
      .reduce((sum, { count }) => sum + count, 0),
  };
}
