/**
 * One run that is killed and restarted: lives of a coordinator one after the other on one folder
 * and one port, and a worker within this process that stays up through all of them.
 *
 * Processes are started ahead of their use and wait, so that a life begins at once.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import '../support/use-small-model.ts';
import type { Task, Told } from './coordinator-child.ts';
import type { Aim } from './disk-tap.ts';

const { smallMethod, smallWorker } = await import('../support/small-run.ts');
const { verifyRun } = await import('../../cli/verify-run.ts');

export const steps = 20;
const checkpointEvery = 5;
/** A run that takes longer than this hangs, milliseconds. */
const patienceMs = 240_000;

const program = fileURLToPath(new URL('./coordinator-child.js', import.meta.url));

interface Standby {
  child: ChildProcess;
  ready: Promise<void>;
}

/** Coordinators that are loaded and wait. Close it at the end. */
export class Standbys {
  private readonly waiting: Standby[] = [];

  take(): Standby {
    const next = this.waiting.shift() ?? this.start();
    this.waiting.push(this.start());
    return next;
  }

  private start(): Standby {
    const child = fork(program, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const ready = new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', () => reject(new Error('a coordinator died while it was loading')));
    });
    ready.catch(() => undefined);
    return { child, ready };
  }

  close(): void {
    for (const { child } of this.waiting) child.kill('SIGKILL');
  }
}

interface Life {
  /** Killed by the tap. */
  killed: boolean;
  counts: Map<string, number>;
}

/** One life of a coordinator, from the word to begin to its end. */
async function live(standbys: Standbys, task: Task, onListening: () => void): Promise<Life> {
  const { child, ready } = standbys.take();
  await ready;
  let counts: [string, number][] = [];
  let failure: string | null = null;
  child.on('message', (told: Told) => {
    if (typeof told === 'string') return;
    if ('address' in told) onListening();
    if ('counts' in told) counts = told.counts;
    if ('failure' in told) failure = told.failure;
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('exit', (_, signal) => resolve(signal)),
  );
  const timer = setTimeout(() => {
    failure = `the run did not end in ${patienceMs} ms`;
    child.kill('SIGKILL');
  }, patienceMs);
  child.send(task);
  const signal = await ended;
  clearTimeout(timer);
  if (failure !== null) throw new Error(failure);
  return { killed: signal === 'SIGKILL', counts: new Map(counts) };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

export interface Outcome {
  digest: string;
  ledger: Buffer;
  checkpoints: string[];
  counts: Map<string, number>;
}

export interface CrashTask {
  standbys: Standbys;
  data: string;
  /** A new folder for this run. */
  folder: string;
  /** Where the first life dies; null: it does not. */
  aim: Aim | null;
  /** What is done to the run folder between the first life and the second. */
  between?: (run: string) => void;
}

/** Runs to the end, through the death that is aimed at. Rejects where anything does not hold. */
export async function crashRun(task: CrashTask): Promise<Outcome> {
  const { standbys, data, folder, aim, between } = task;
  const run = join(folder, 'run');
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const values = {
    ...smallMethod,
    ...{ batch: 4, 'micro-batch': 2, steps, data, run },
    ...{ 'checkpoint-every': checkpointEvery, listen: `127.0.0.1:${port}` },
  };
  const over = new AbortController();
  let worker: Promise<void> | null = null;
  const joinRun = () => {
    worker ??= smallWorker(`127.0.0.1:${port}`, 'w', over.signal).catch((error: unknown) => {
      if (!over.signal.aborted) throw error;
    });
    worker.catch(() => undefined);
  };
  try {
    let life = await live(standbys, { values, run, aim }, joinRun);
    const { counts } = life;
    if (aim !== null) {
      if (!life.killed) throw new Error('the first life never came to this point');
      if (aim.powerCut !== null) {
        rmSync(run, { recursive: true, force: true });
        if (existsSync(aim.powerCut.image)) renameSync(aim.powerCut.image, run);
      }
      checkAnnounced(run, aim);
      between?.(run);
      life = await live(standbys, { values, run, aim: null }, joinRun);
    }
    if (life.killed) throw new Error('a coordinator died that was not aimed at');
    // Nobody tells a worker that a run is done which was done before it came back.
    over.abort(new Error('the run is done'));
    await worker;
    return { ...(await outcomeOf(run)), counts };
  } finally {
    over.abort(new Error('the test is over'));
  }
}

/** What was announced has to be durable, whatever the death took along. */
function checkAnnounced(run: string, aim: Aim): void {
  if (!aim.label.startsWith('broadcast')) return;
  const found = readFileSync(join(run, 'ledger.jsonl'), 'utf8').split('\n').length - 1;
  if (found < aim.occurrence)
    throw new Error(`step ${aim.occurrence} is announced, the ledger holds ${found}`);
}

async function outcomeOf(run: string): Promise<Omit<Outcome, 'counts'>> {
  if (existsSync(join(run, 'coordinator.json'))) throw new Error('an address outlived its run');
  const { first, steps: proven } = await verifyRun(
    run,
    AbortSignal.timeout(patienceMs),
    () => undefined,
  );
  if (first !== null || proven !== steps)
    throw new Error(`verify: ${JSON.stringify(first)} after ${proven} steps`);
  const last = join(run, 'checkpoints', `step-${String(steps).padStart(8, '0')}`);
  const model = readFileSync(join(last, 'model.safetensors'));
  return {
    digest: createHash('sha256').update(model).digest('hex'),
    ledger: readFileSync(join(run, 'ledger.jsonl')),
    checkpoints: readdirSync(join(run, 'checkpoints')).sort(),
  };
}

/** Null where two runs ended in the same bytes; else what differs. */
export function differenceOf(found: Outcome, quiet: Outcome): string | null {
  if (found.digest !== quiet.digest) return `digest ${found.digest}, unfaulted ${quiet.digest}`;
  if (!found.ledger.equals(quiet.ledger)) return 'the ledger has other bytes';
  // Which ones lie between may differ: a life that is killed owes its checkpoint to the next.
  const { checkpoints } = found;
  const [first, last] = [checkpoints[0], checkpoints.at(-1)];
  const kept = first === quiet.checkpoints[0] && last === quiet.checkpoints.at(-1);
  // A removal that was not synced is undone by a power cut.
  return kept && checkpoints.length <= quiet.checkpoints.length + 1 && checkpoints.length > 2
    ? null
    : `checkpoints ${checkpoints.join(' ')}, unfaulted ${quiet.checkpoints.join(' ')}`;
}
