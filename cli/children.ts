/**
 * Processes of this program that another one starts: kept alive, heard, and ended together.
 *
 * Children that die are started again, with backoff and a bound. Each has an IPC channel to this
 * process and ends when it closes, so not even `kill -9` of the parent leaves an orphan.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { collectAtOnce } from '../shared/adapters/grpc.ts';
import { Failure, type FailureCode, failures } from '../shared/core/failures.ts';

/** Deaths of one child in a row, each within `quickMs` of its start, before it is given up. */
const deathsMax = 5;
const quickMs = 60_000;
const backoffMs = [200, 500, 1000, 2000, 4000];
/** What ends one worker and not the run: the others go on. */
const givenUp: ReadonlySet<FailureCode> = new Set(['quarantined']);
/** How long an orderly stop may take before children are killed, milliseconds. */
const stopMs = 60_000;

const bin = fileURLToPath(
  new URL(import.meta.url.includes('/dist/') ? '../../cli/bin.js' : './bin.js', import.meta.url),
);

/** What a child tells its parent. */
export interface ChildMessage {
  address?: string;
  indexing?: { done: number; total: number };
  failure?: Exit['failure'];
}

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What the child said of its own end. */
  failure: { code: FailureCode; message: string } | null;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  let failure: Exit['failure'] = null;
  child.on('message', (message: ChildMessage) => {
    failure = message.failure ?? failure;
  });
  return new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, failure })),
  );
}

export interface Children {
  /** Starts `tandem ARGS`. */
  start(args: string[], env: NodeJS.ProcessEnv): ChildProcess;
  /** Keeps one child alive until it ends by itself; rejects where it cannot. */
  keep(what: string, launch: () => ChildProcess): Promise<void>;
  /** Starts none any more, asks all to end, waits, kills. */
  end(): Promise<void>;
}

/** `signal`: an orderly stop, passed on to every child. `note`: a line that a child printed. */
export function openChildren(signal: AbortSignal, note: (line: string) => void): Children {
  const children = new Set<ChildProcess>();
  const over = new AbortController();
  const stop = () => {
    for (const child of children) child.kill('SIGTERM');
  };
  signal.addEventListener('abort', stop, { once: true });

  return {
    start(args, env) {
      const child = fork(bin, args, {
        env,
        execArgv: [...process.execArgv, ...collectAtOnce],
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      });
      children.add(child);
      child.once('exit', () => children.delete(child));
      for (const stream of [child.stdout, child.stderr]) {
        let rest = '';
        stream?.setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n');
          rest = (lines.pop() ?? '').slice(0, 10_000);
          for (const line of lines) note(line);
        });
      }
      return child;
    },

    async keep(what, launch) {
      let deaths = 0;
      while (!over.signal.aborted && !signal.aborted) {
        const began = performance.now();
        const { code, signal: killedBy, failure } = await exitOf(launch());
        if (code === 0 || over.signal.aborted || signal.aborted) return;
        if (failure !== null && givenUp.has(failure.code)) {
          note(`${what} takes no part any more: ${failure.message}`);
          return;
        }
        if (failure !== null && failures[failure.code].remedy === 'stop')
          throw new Failure(failure.code, failure.message);
        deaths = performance.now() - began > quickMs ? 1 : deaths + 1;
        const how =
          killedBy ?? (failure ? `${failure.message}, ${failure.code}` : `exit code ${code}`);
        if (deaths > deathsMax)
          throw new Failure(
            'too-many-restarts',
            `${what} died ${deaths} times in a row (last: ${how}); ` +
              'what it said stands above, and --verbose says more',
          );
        note(`${what} died (${how}) and is started again`);
        await sleep(backoffMs[deaths - 1] ?? 4000, undefined, { signal: over.signal }).catch(
          () => undefined,
        );
      }
    },

    async end() {
      over.abort();
      signal.removeEventListener('abort', stop);
      const deadline = performance.now() + (children.size > 0 ? stopMs : 0);
      for (const child of children) child.kill('SIGTERM');
      while (children.size > 0 && performance.now() < deadline) await sleep(20);
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
