/**
 * Recovery and the pause of checkpoints, on a model of real size:
 *
 *   node dist/test/bench/recovery.js [--kills 30] [--model resnet18] [--json]
 *
 * A real `tandem coordinator` process is killed with SIGKILL at a drawn moment of a step and started
 * again on its folder and port, so many times. Figure: from the start of the process to the first
 * lease of the open step, by the wall clock; it holds the worker's wait before it tries again. The
 * worker is within this process and computes with exact arithmetic in the place of TensorFlow: the
 * state, the files and the way back are of real size, the gradient means nothing. Target: under 3 s
 * on 2 cores.
 *
 * Then the same state is written as a checkpoint, within a process that does nothing else: the
 * longest time for which the event loop stood still is the longest wait of a lease for an answer.
 * Target: under 50 ms per 100 MB.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeCheckpoint } from '../../coordinator/shell/checkpoints.ts';
import { hashesOf, initialCopy } from '../../coordinator/shell/model-state.ts';
import { prepareRunFolder } from '../../coordinator/shell/run-folder.ts';
import { collectAtOnce } from '../../shared/adapters/grpc.ts';
import { architecture } from '../../shared/core/architecture.ts';
import type { ModelName } from '../../shared/core/method.ts';
import { smallWorker, tinyPhotographs } from '../support/small-run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    model: { type: 'string', default: 'resnet18' },
    json: { type: 'boolean', default: false },
  },
});
const kills = Number(values.kills);
const model = values.model as ModelName;
const net = architecture(model);
const stateMegabytes = (4 * (2 * net.parameterCount + net.statisticCount)) / 1e6;
const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const tap = new URL('./recovery-tap.js', import.meta.url).href;
/** Longest wait between a lease and the kill: about a step. */
const strikeMs = 1500;

const folder = mkdtempSync(join(tmpdir(), 'tandem-recovery-'));
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const wall = (): number => performance.timeOrigin + performance.now();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Life {
  child: ChildProcess;
  startedAt: number;
  /** Milliseconds from the start to listening, to the first lease. */
  listening: Promise<number>;
  leased: Promise<number>;
}

function begin(args: string[]): Life {
  const startedAt = wall();
  const execArgv = ['--import', tap, ...collectAtOnce];
  const child = fork(bin, args, { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const first = (field: string): Promise<number> =>
    new Promise((resolve, reject) => {
      child.on('message', (message: Record<string, unknown>) => {
        if (field in message) resolve((Number(message['at']) || wall()) - startedAt);
      });
      child.once('exit', (code) => reject(new Error(`the coordinator ended with ${code}`)));
    });
  const [listening, leased] = [first('address'), first('lease')];
  for (const promise of [listening, leased]) promise.catch(() => undefined);
  return { child, startedAt, listening, leased };
}

const sorted = (list: number[]): number[] => [...list].sort((a, b) => a - b);
const median = (list: number[]): number => sorted(list)[Math.floor(list.length / 2)] ?? Number.NaN;

async function recoveries(): Promise<{ listening: number[]; leased: number[] }> {
  const data = await tinyPhotographs(join(folder, 'data'), 30);
  const port = await freePort();
  const flags = {
    ...{ data, model, size: 32, batch: 8, 'micro-batch': 2, seed: 5, steps: 100_000 },
    ...{ 'checkpoint-every': 10, listen: `127.0.0.1:${port}`, run: join(folder, 'run') },
  };
  const args = ['coordinator', ...Object.entries(flags).flatMap(([k, v]) => [`--${k}`, `${v}`])];
  const over = new AbortController();
  let life = begin(args);
  await life.listening;
  smallWorker(`127.0.0.1:${port}`, 'w', over.signal).catch(() => undefined);
  await life.leased;
  const found = { listening: [] as number[], leased: [] as number[] };
  for (let kill = 0; kill < kills; kill += 1) {
    await sleep(200 + Math.random() * strikeMs);
    life.child.kill('SIGKILL');
    await once(life.child, 'exit');
    life = begin(args);
    found.listening.push(await life.listening);
    found.leased.push(await life.leased);
    if (!values.json)
      say(
        `kill ${kill + 1}: listening after ${found.listening.at(-1)?.toFixed(0)} ms, ` +
          `first lease after ${found.leased.at(-1)?.toFixed(0)} ms`,
      );
  }
  over.abort(new Error('the benchmark is over'));
  life.child.kill('SIGKILL');
  return found;
}

/** Longest time for which the loop stands still while one checkpoint is written, milliseconds. */
async function pauseOf(): Promise<{ pause: number; seconds: number }> {
  const at = join(folder, 'pause');
  await prepareRunFolder(at);
  const copy = initialCopy(net, 1);
  const hashes = hashesOf(copy);
  let last = performance.now();
  let pause = 0;
  const watch = (): void => {
    const now = performance.now();
    pause = Math.max(pause, now - last);
    last = now;
  };
  let over = false;
  const turn = (): void => {
    watch();
    if (!over) setImmediate(turn);
  };
  await sleep(50);
  last = performance.now();
  setImmediate(turn);
  const began = performance.now();
  const common = { generation: 1, architecture: net, copy, identity: '', hashes, record: null };
  await writeCheckpoint({ ...common, folder: at, step: 1, reproducible: true });
  watch();
  over = true;
  return { pause, seconds: (performance.now() - began) / 1000 };
}

try {
  const pauses = [];
  for (let i = 0; i < 5; i += 1) pauses.push(await pauseOf());
  const { listening, leased } = await recoveries();
  const figures = {
    model,
    stateMegabytes,
    kills,
    listeningMedianMs: median(listening),
    leaseMedianMs: median(leased),
    leaseMostMs: Math.max(...leased),
    pauseMedianMs: median(pauses.map(({ pause }) => pause)),
    pauseMostMs: Math.max(...pauses.map(({ pause }) => pause)),
    pausePer100MegabytesMs: (100 * Math.max(...pauses.map(({ pause }) => pause))) / stateMegabytes,
    checkpointSeconds: median(pauses.map(({ seconds }) => seconds)),
  };
  say(values.json ? JSON.stringify(figures) : JSON.stringify(figures, null, 2));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit();
