/**
 * `--nats auto`: a nats-server of our own for as long as the training lasts.
 *
 * It listens on a free port of this machine's loopback, keeps its streams in a temporary folder of
 * bounded size, and dies with us whatever becomes of us: a shell between the two waits for the end
 * of a pipe that only we hold, then ends the server and removes the folder. Where no nats-server is
 * to be had the training goes on without, and says so once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsTarget } from '../shared/adapters/nats-connection.ts';
import type { Config } from '../shared/core/config.ts';
import type { Io } from './io.ts';

export interface Broker {
  /** nats://127.0.0.1:PORT */
  url: string;
  close(): Promise<void>;
}

const startMs = 5000;
const storeBytesMax = 512 * 1024 * 1024;

/** Ends the server when standard input ends, and itself when the server does. */
const keeper = `
exec 3<&0
"$1" --config "$2/nats.conf" </dev/null >/dev/null 2>&1 3<&- &
server=$!
(cat <&3 >/dev/null; kill -TERM $server 2>/dev/null; sleep 5; kill -KILL $server 2>/dev/null) &
reader=$!
exec 3<&-
wait $server
rm -rf -- "$2"
kill $reader 2>/dev/null
`;

/** Throws `bad-option` where a file that the NATS options name cannot be used. */
export function checkNats(config: Config, env: Io['env']): void {
  if (config.nats === null) return;
  natsTarget({ ...config, nats: config.nats }, 'check', env);
}

/** A nats-server on PATH, or the one that the tests' setup keeps; null where there is none. */
export function findNatsServer(env: Io['env']): string | null {
  const cache = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache');
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...folders, join(cache, 'tandem')]) {
    const path = join(folder, 'nats-server');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there.
    }
  }
  return null;
}

/** The URL in the file that the server writes once it listens; null before. */
function urlIn(folder: string): string | null {
  try {
    const name = readdirSync(folder).find((file) => file.endsWith('.ports'));
    if (name === undefined) return null;
    const ports = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { nats?: string[] };
    return ports.nats?.[0] ?? null;
  } catch {
    return null;
  }
}

/** Starts the server; null, after a word, where there is none or it does not come up. */
export async function startBroker(
  env: Io['env'],
  note: (line: string) => void,
): Promise<Broker | null> {
  const program = findNatsServer(env);
  if (program === null) {
    note('no nats-server on PATH: --nats auto does nothing, events are in the run folder');
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tandem-nats-'));
  const config = [
    'host: 127.0.0.1',
    'port: -1',
    `ports_file_dir: ${JSON.stringify(folder)}`,
    `jetstream { store_dir: ${JSON.stringify(join(folder, 'store'))}, max_mem: 16777216, max_file: ${storeBytesMax} }`,
  ];
  writeFileSync(join(folder, 'nats.conf'), `${config.join('\n')}\n`);
  const child = spawn('/bin/sh', ['-c', keeper, 'keeper', program, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Ctrl-C is for the training, which then ends the server in its turn.
    detached: true,
  });
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  const close = () => closeBroker(child, ended);
  const deadline = performance.now() + startMs;
  for (let url = urlIn(folder); performance.now() < deadline; url = urlIn(folder)) {
    if (url !== null) {
      note(`nats-server of this run: ${url}`);
      child.unref();
      return { url, close };
    }
    if (child.exitCode !== null) break;
    await sleep(20);
  }
  await close();
  note(`${program} did not start: --nats auto does nothing, events are in the run folder`);
  return null;
}

async function closeBroker(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.ref();
  child.stdin?.destroy();
  await Promise.race([ended, sleep(2000, undefined, { ref: false })]);
}
