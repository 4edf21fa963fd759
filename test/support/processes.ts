/**
 * Real processes for the end-to-end tests: `tandem` as a user would start it, its output kept,
 * everything ended when the test ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'node:test';
import type { RunEvent } from '../../shared/core/events.ts';
import { followEvents } from '../../cli/follow.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));

export interface Tandem {
  process: ChildProcess;
  /** Everything printed so far. */
  out: () => string;
  err: () => string;
  /** Exit code, or the signal's name. */
  ended: Promise<number | string>;
}

/** A folder that is gone after the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-e2e-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a program of Node; it is killed when the test ends, if it still lives. */
export function startNode(t: TestContext, args: string[], env: NodeJS.ProcessEnv = {}): Tandem {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  );
  return { process: child, out: () => out, err: () => err, ended };
}

/** Starts `tandem ARGS`. */
export function startTandem(t: TestContext, args: string[], env: NodeJS.ProcessEnv = {}): Tandem {
  return startNode(t, [bin, ...args], env);
}

/** Runs `tandem ARGS` to its end; throws with what it said where it fails. */
export async function tandem(t: TestContext, args: string[]): Promise<string> {
  const run = startTandem(t, args);
  const code = await run.ended;
  if (code !== 0) throw new Error(`tandem ${args.join(' ')} ended with ${code}:\n${run.err()}`);
  return run.out();
}

/** Events of a run folder until one satisfies `enough`; rejects after `timeoutMs`. */
export async function eventsUntil(
  run: string,
  enough: (event: RunEvent) => boolean,
  timeoutMs = 120_000,
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const signal = AbortSignal.timeout(timeoutMs);
  for await (const event of followEvents({ run, since: 0, signal, wait: true })) {
    events.push(event);
    if (enough(event)) return events;
  }
  const last = events.at(-1);
  throw new Error(
    `the event did not come in ${timeoutMs} ms; the last was ${JSON.stringify(last)}`,
  );
}

/** The program of `rogue-worker.ts`. */
export const rogueWorker: string = fileURLToPath(
  new URL('../e2e/rogue-worker.js', import.meta.url),
);

/** Where a coordinator that was started by hand listens, once it says so. */
export async function addressOf(coordinator: Tandem): Promise<string> {
  for (;;) {
    const address = /listening on (\S+?),/.exec(coordinator.out())?.[1];
    if (address !== undefined) return address;
    const { stdout, exitCode } = coordinator.process;
    if (stdout === null || exitCode !== null) throw new Error(coordinator.err());
    await Promise.race([once(stdout, 'data'), coordinator.ended]);
  }
}

/** Exit code of `awaited`; rejects at once where `needed`, without which it waits, fails first. */
export async function endedWith(awaited: Tandem, needed: Tandem): Promise<number | string> {
  const broken = needed.ended.then((code) => {
    if (code === 0) return awaited.ended;
    throw new Error(`what it waits for ended with ${code}:\n${needed.err()}`);
  });
  return Promise.race([awaited.ended, broken]);
}
