/**
 * What `tandem doctor` looks at: this machine, as values and as questions. Only reads; a file that
 * is made to see whether one can be is removed again.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAddress, type Config } from '../shared/core/config.ts';
import { derive } from './derived.ts';
import { addonStands, findCompiler, probeAddon } from './setup/addon.mjs';
import { cacheFolder } from './setup/backend.mjs';
import { onPath } from './setup/command.mjs';
import { readRecord } from './setup/record.mjs';

type Env = Record<string, string | undefined>;

export interface Surroundings {
  nodeVersion: string;
  /** Program and arguments, or null. */
  compiler: string | null;
  addonStands: boolean;
  record: { build: string | null; reason: string | null } | null;
  wasmAsked: boolean;
  driver: boolean;
  /** `name, memory` of each GPU. */
  gpus: string[];
  nats: string | null;
  natsServer: string | null;
  listen: string;
  runs: string;
  cache: string;
  diskNeeded: number;
  memoryNeeded: number;
  totalMemory: number;
  unknownVariables: string[];
  now(): number;
  probe(): Promise<{ version: string; device: string } | { problem: string }>;
  wasmProblem(): Promise<string | null>;
  connects(url: string): Promise<string | null>;
  bindProblem(): Promise<string | null>;
  writeProblem(folder: string): Promise<string | null>;
  freeBytes(folder: string): Promise<number | null>;
  fileClockSkewMs(): Promise<number | null>;
}

/** The project: one folder up from the sources, two up from the compiled file. */
const root = fileURLToPath(
  new URL(import.meta.url.includes('/dist/') ? '../../' : '../', import.meta.url),
);
const variables =
  'BACKEND COORDINATOR CUDA LIBTENSORFLOW NATS NATS_PASSWORD NATS_SERVER NATS_TOKEN NATS_USER'.split(
    ' ',
  );
const waitMs = 3000;

/** The nearest folder above (or at) a path that exists. */
function existing(path: string): string {
  let at = resolve(path);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

function gpusOf(env: Env): string[] {
  const program = onPath('nvidia-smi', env['PATH'] ?? '');
  if (program === null) return [];
  const args = ['--query-gpu=name,memory.total', '--format=csv,noheader'];
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
  return status === 0
    ? stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

async function writeProblem(folder: string): Promise<string | null> {
  try {
    const made = await mkdtemp(join(existing(folder), '.tandem-doctor-'));
    await writeFile(join(made, 'file'), 'can be written');
    await rm(made, { recursive: true });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function fileClockSkewMs(folder: string): Promise<number | null> {
  try {
    const made = await mkdtemp(join(existing(folder), '.tandem-doctor-'));
    const { mtimeMs } = await stat(made);
    const skew = mtimeMs - Date.now();
    await rm(made, { recursive: true });
    return skew;
  } catch {
    return null;
  }
}

function bindProblem(listen: string): Promise<string | null> {
  const address = parseAddress(listen);
  if (address === null) return Promise.resolve('not HOST:PORT');
  const server = createServer();
  return new Promise((settle) => {
    server.once('error', (error) => settle(error.message));
    server.listen(address.port, address.host, () => server.close(() => settle(null)));
  });
}

function connects(url: string): Promise<string | null> {
  const { hostname, port } = new URL(url.includes('://') ? url : `nats://${url}`);
  return new Promise((settle) => {
    const socket = connect(Number(port || 4222), hostname.replace(/^\[|\]$/g, ''));
    const end = (problem: string | null): void => {
      socket.destroy();
      settle(problem);
    };
    socket.setTimeout(waitMs, () => end(`no answer in ${waitMs} ms`));
    socket.once('error', (error) => end(error.message));
    socket.once('data', (data) =>
      end(data.toString('latin1').startsWith('INFO ') ? null : 'something else than NATS answers'),
    );
  });
}

/** The type of what Node has; the library of types without a browser's lacks it. */
interface WithWasm {
  WebAssembly: { compile(bytes: Uint8Array): Promise<unknown> };
}

async function wasmProblem(): Promise<string | null> {
  const folder = join(root, 'node_modules', '@tensorflow', 'tfjs-backend-wasm', 'dist');
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.wasm'));
    if (names.length === 0) return `no .wasm file in ${folder}`;
    await (globalThis as unknown as WithWasm).WebAssembly.compile(
      await readFile(join(folder, names[0] as string)),
    );
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** This machine, for a run with this config. */
export function surroundingsOf(config: Config, env: Env): Surroundings {
  const derived = derive(config, null);
  const runs = config.run ?? 'runs';
  const cache = cacheFolder(env as NodeJS.ProcessEnv);
  const kept = join(cache, 'nats-server');
  const named = env['TANDEM_NATS_SERVER'] ?? '';
  const record = readRecord(root);
  return {
    nodeVersion: process.versions.node,
    compiler: findCompiler(env as NodeJS.ProcessEnv)?.join(' ') ?? null,
    addonStands: addonStands(root),
    record,
    wasmAsked: config.backend === 'wasm' || env['TANDEM_BACKEND'] === 'wasm',
    driver: existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl'),
    gpus: gpusOf(env),
    nats: config.nats,
    natsServer:
      [named, onPath('nats-server', env['PATH'] ?? '') ?? '', kept].find(
        (path) => path !== '' && existsSync(path),
      ) ?? null,
    listen: config.listen,
    runs,
    cache,
    diskNeeded: derived.diskBytes,
    memoryNeeded: derived.coordinatorBytes + config.workers * derived.workerBytes,
    totalMemory: totalmem(),
    unknownVariables: Object.keys(env).filter(
      (name) => name.startsWith('TANDEM_') && !variables.includes(name.slice('TANDEM_'.length)),
    ),
    now: Date.now,
    probe: () => probeAddon(root),
    wasmProblem,
    connects,
    bindProblem: () => bindProblem(config.listen),
    writeProblem,
    freeBytes: async (folder) => {
      try {
        const { bavail, bsize } = await statfs(existing(folder));
        return bavail * bsize;
      } catch {
        return null;
      }
    },
    fileClockSkewMs: () => fileClockSkewMs(runs),
  };
}
