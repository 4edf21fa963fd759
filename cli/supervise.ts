/**
 * `tandem train` as a supervisor: one coordinator and N workers as processes of this machine.
 *
 * Children that die are started again, with backoff and a bound; a coordinator comes back on the
 * port that its workers know. Each child has an IPC channel to this process and ends when it
 * closes, so not even `kill -9` of the supervisor leaves an orphan.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { collectAtOnce } from '../shared/adapters/grpc.ts';
import { type Config, configFlags } from '../shared/core/config.ts';
import { coordinatorOptionNames, tlsOptionNames } from '../shared/core/option-table.ts';
import { Failure, type FailureCode, failures } from '../shared/core/failures.ts';
import { computeEnvironment } from '../worker/compute/environment.ts';

export interface SuperviseOptions {
  config: Config & { run: string };
  /** Aborted for an orderly stop. */
  signal: AbortSignal;
  verbose: boolean;
  /** Variables that the coordinator gets beyond our own. */
  coordinatorEnv?: Record<string, string>;
  /** Lines that children print. */
  note: (line: string) => void;
  /** How far the coordinator's first look at the data is. */
  onIndexing?: (done: number, total: number) => void;
}

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

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What the child said of its own end. */
  failure: { code: FailureCode; message: string } | null;
}

/** What a child tells its supervisor. */
interface ChildMessage {
  address?: string;
  indexing?: { done: number; total: number };
  failure?: Exit['failure'];
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

/** NVIDIA GPUs of this machine, by their device files; none is usual. */
function gpuCount(): number {
  try {
    return readdirSync('/dev').filter((name) => /^nvidia\d+$/.test(name)).length;
  } catch {
    return 0;
  }
}

/** Runs to the end of the run. Rejects with the failure that a child cannot recover from. */
export async function superviseTrain(options: SuperviseOptions): Promise<void> {
  const { config, signal } = options;
  const children = new Set<ChildProcess>();
  const over = new AbortController();
  let address = config.listen;

  function start(args: string[], env: NodeJS.ProcessEnv): ChildProcess {
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
        for (const line of lines) options.note(line);
      });
    }
    return child;
  }

  /** Keeps one child alive until it ends by itself; throws where it cannot. */
  async function keep(what: string, launch: () => ChildProcess): Promise<void> {
    let deaths = 0;
    while (!over.signal.aborted) {
      const began = performance.now();
      const { code, signal: killedBy, failure } = await exitOf(launch());
      if (code === 0 || over.signal.aborted || signal.aborted) return;
      if (failure !== null && givenUp.has(failure.code)) {
        options.note(`${what} takes no part any more: ${failure.message}`);
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
      options.note(`${what} died (${how}) and is started again`);
      await sleep(backoffMs[deaths - 1] ?? 4000, undefined, { signal: over.signal }).catch(
        () => undefined,
      );
    }
  }

  const verbose = options.verbose ? ['--verbose'] : [];
  let listening: (() => void) | null = null;
  const firstListening = new Promise<void>((resolve) => {
    listening = resolve;
  });
  const launchCoordinator = () => {
    const flags = configFlags({ ...config, listen: address, json: false }, coordinatorOptionNames);
    const env = { ...process.env, ...options.coordinatorEnv };
    const child = start(['coordinator', ...flags, ...verbose], env);
    child.on('message', (message: ChildMessage) => {
      if (message.indexing !== undefined) {
        options.onIndexing?.(message.indexing.done, message.indexing.total);
      }
      if (typeof message.address !== 'string') return;
      address = message.address;
      listening?.();
    });
    return child;
  };
  const gpus = gpuCount();
  const launchWorker = (i: number) => () => {
    const env = computeEnvironment(process.env, {
      precision: config.precision,
      threadsInterOp: config.workers === 1 ? 2 : 1,
      ...(gpus > 1 && process.env['CUDA_VISIBLE_DEVICES'] === undefined
        ? { cudaDevice: i % gpus }
        : {}),
    });
    // The coordinator's own certificate may do what a worker's may.
    const names = ['data', 'backend', 'require-gpu', ...tlsOptionNames];
    const flags = configFlags({ ...config }, names);
    const name = `worker-${i + 1}`;
    const args = ['worker', '--coordinator', address, '--name', name, ...flags, ...verbose];
    return start(args, env);
  };

  const stop = () => {
    for (const child of children) child.kill('SIGTERM');
  };
  signal.addEventListener('abort', stop, { once: true });
  const coordinator = keep('the coordinator', launchCoordinator);
  try {
    await Promise.race([firstListening, coordinator]);
    const workers = Array.from({ length: config.workers }, (_, i) =>
      keep(`worker-${i + 1}`, launchWorker(i)),
    );
    const broken = Promise.all(workers).then(() => coordinator);
    await Promise.race([coordinator, broken]);
  } finally {
    over.abort();
    signal.removeEventListener('abort', stop);
    await endAll(children);
  }
}

/** Asks, waits, kills. */
async function endAll(children: Set<ChildProcess>): Promise<void> {
  const deadline = performance.now() + (children.size > 0 ? stopMs : 0);
  for (const child of children) child.kill('SIGTERM');
  while (children.size > 0 && performance.now() < deadline) await sleep(20);
  for (const child of children) child.kill('SIGKILL');
}
