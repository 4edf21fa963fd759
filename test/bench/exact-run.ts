/**
 * A run of the small model that stands still between blocks of steps: a coordinator as shipped and one
 * worker with exact compute, each a process. A step is as short as it can be, so what the coordinator
 * does beside the arithmetic shows at its largest.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processOf } from '../../cli/bench/processes.ts';
import type { TandemRun } from '../../cli/bench/tandem-run.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { freePort } from '../support/nats-server.ts';
import { smallModelPreload } from '../support/use-small-model.ts';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const preload = ['--import', smallModelPreload];
const batch = 12;
const warmUpSteps = 20;
const unmeasuredSteps = 2;
const patienceMs = 120_000;

/** Starts it and lets it warm up; `more` are options of the coordinator. */
export async function startExactRun(more: readonly string[]): Promise<TandemRun> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-exact-'));
  const run = join(folder, 'run');
  const address = `127.0.0.1:${await freePort()}`;
  const method = ['--data', 'synthetic:64', '--model', 'resnet18-cifar', '--size', '8'];
  const steps = ['--steps', '1000000', '--checkpoint-every', '1000000'];
  const sizes = ['--batch', `${batch}`, '--micro-batch', '2'];
  const where = ['--run', run, '--listen', address];
  const start = (args: readonly string[]): ChildProcess =>
    spawn(process.execPath, [...preload, ...args], { stdio: 'ignore' });
  const bin = file('../../../cli/bin.js');
  const coordinator = start([bin, 'coordinator', ...method, ...sizes, ...steps, ...where, ...more]);
  const named = ['--coordinator', address, '--name', 'w1', '--pace', '5'];
  const worker = start([file('../chaos/chaos-worker.js'), '--exact', ...named]);
  const both = [coordinator, worker];

  async function committed(count: number): Promise<number[]> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const times = commitTimes(join(run, 'events.jsonl'));
      if (times.length >= count) return times;
      const dead = both.some((child) => child.exitCode !== null || child.signalCode !== null);
      if (dead || performance.now() > deadline) throw new Error('a run of the small model ended');
      await sleep(10);
    }
  }
  const send = (name: NodeJS.Signals): void => {
    for (const child of both) child.kill(name);
  };
  await committed(warmUpSteps);
  send('SIGSTOP');
  return {
    async block(count) {
      const first = commitTimes(join(run, 'events.jsonl')).length + unmeasuredSteps;
      send('SIGCONT');
      const times = await committed(first + count);
      send('SIGSTOP');
      const ms = (times[first + count - 1] ?? 0) - (times[first - 1] ?? 0);
      return (1000 * count * batch) / ms;
    },
    spent() {
      const [ours, theirs] = both.map((child) => processOf(child.pid ?? 0)?.seconds ?? null);
      if (ours === null || theirs === null || ours === undefined || theirs === undefined)
        return null;
      const count = commitTimes(join(run, 'events.jsonl')).length;
      return { steps: count, all: ours + theirs, coordinator: ours };
    },
    peakBytes: () => null,
    async end() {
      send('SIGCONT');
      send('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Times of the committed steps in the file, ms since 1970. */
function commitTimes(path: string): number[] {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return []; // not there yet
  }
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line.includes('"step-committed"'))
    .map((line) => Date.parse((JSON.parse(line) as RunEvent).time));
}
