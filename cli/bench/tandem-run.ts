/**
 * A whole run (coordinator and workers, real processes, real gRPC) that can be measured in blocks of
 * steps and stands still in between.
 *
 * `tandem train` runs in a process group of its own, which is stopped by SIGSTOP right after a commit
 * and goes on by SIGCONT. The steps right after a pause are not measured: the first began before it,
 * and leases that seem late by the pause may be handed out twice in the second. Times are those of
 * the events. A pause must stay below the coordinator's patience with silent workers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../shared/core/events.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { BenchCase } from './cases.ts';
import { groupPeakBytes, groupSeconds, processOf } from './processes.ts';

export interface TandemRunOptions extends BenchCase {
  microBatch: number;
  workers: number;
  /** A folder of images, or `synthetic:COUNT`. */
  data: string;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  /** More options of `tandem train`, without dashes. */
  more?: Readonly<Record<string, string | number>>;
}

export interface TandemRun {
  /** Images a second over so many steps; the run stands still before and after. */
  block(steps: number): Promise<number>;
  /** Steps committed, and the processor time that its processes spent up to now, seconds. */
  spent(): { steps: number; all: number; coordinator: number } | null;
  /** Sum of the peak resident sets of its processes, bytes; null where the system does not say. */
  peakBytes(): number | null;
  end(): Promise<void>;
}

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const warmUpSteps = 3;
const unmeasuredSteps = 2;
const pollMs = 10;
/** Without a commit for so long the run counts as broken, milliseconds. */
const patienceMs = 180_000;

/** Starts a run and lets it warm up. Rejects with `compute-failed` where it ends. */
export async function startTandemRun(options: TandemRunOptions): Promise<TandemRun> {
  const { signal, env, data, microBatch, batch, model, size, precision, workers } = options;
  const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-'));
  const run = join(folder, 'run');
  const flags = {
    data,
    model,
    size,
    batch,
    precision,
    workers,
    run,
    'micro-batch': microBatch,
    'min-workers': workers,
    steps: 1_000_000,
    'checkpoint-every': 1_000_000,
    backend: 'tensorflow',
    ...options.more,
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(process.execPath, [bin, 'train', ...args], {
    env,
    detached: true, // its own process group
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'], // it ends when this process is gone
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let commits: number[] = [];

  /** Waits until so many steps are committed; the time of each, ms since 1970. */
  async function committed(count: number): Promise<number[]> {
    const deadline = performance.now() + patienceMs;
    while (commits.length < count) {
      signal.throwIfAborted();
      const dead = child.exitCode !== null || child.signalCode !== null;
      if (dead || performance.now() > deadline) {
        const found = dead ? 'that it ended' : `none in ${patienceMs / 1000} s`;
        throw new Failure(
          'compute-failed',
          `Expected steps of a run of Tandem, found ${found}.\n${said.trim()}`,
        );
      }
      await sleep(pollMs);
      commits = commitTimes(join(run, 'events.jsonl'));
    }
    return commits;
  }
  const send = (name: NodeJS.Signals): void => signalGroup(child, name);
  // A group that stands still does not see that this process is gone.
  const kill = (): void => send('SIGKILL');
  process.once('exit', kill);
  const end = async (): Promise<void> => {
    kill();
    process.off('exit', kill);
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    await committed(warmUpSteps);
    send('SIGSTOP');
  } catch (error) {
    await end();
    throw error;
  }
  return {
    async block(steps) {
      const first = commits.length + unmeasuredSteps;
      send('SIGCONT');
      const times = await committed(first + steps);
      send('SIGSTOP');
      const from = times[first - 1] as number;
      const to = times[first + steps - 1] as number;
      return (steps * batch) / ((to - from) / 1000);
    },
    spent() {
      const all = groupSeconds(child.pid ?? 0);
      const coordinator = coordinatorSeconds(run);
      const steps = commitTimes(join(run, 'events.jsonl')).length;
      return all === null || coordinator === null ? null : { steps, all, coordinator };
    },
    peakBytes: () => groupPeakBytes(child.pid ?? 0),
    end,
  };
}

function commitTimes(file: string): number[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return []; // not there yet
  }
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return whole
    .filter((line) => line.includes('"step-committed"'))
    .map((line) => Date.parse((JSON.parse(line) as RunEvent).time));
}

function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // Its last process is gone.
  }
}

function coordinatorSeconds(run: string): number | null {
  try {
    const { pid } = JSON.parse(readFileSync(join(run, 'coordinator.json'), 'utf8'));
    return processOf(Number(pid))?.seconds ?? null;
  } catch {
    return null;
  }
}
