/**
 * What a coordinator needs, by model and number of workers:
 *
 *   node dist/test/bench/coordinator-size.js [--models resnet18,resnet50] [--workers 1,2,4]
 *     [--steps 10] [--leaves 8] [--json]
 *
 * A real `tandem coordinator` process, scraped at `/metrics` after three steps and again `--steps`
 * later. Workers are processes of their own with exact arithmetic in the place of TensorFlow: they
 * send gradients of real size, which mean nothing, and leave the machine to the coordinator. Images
 * are small (32 px), so nearly all bytes are gradients and weights, as with large ones that workers
 * have cached. Loopback: seconds a step say nothing of a network.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { collectAtOnce } from '../../shared/adapters/grpc.ts';
import { architecture } from '../../shared/core/architecture.ts';
import type { ModelName } from '../../shared/core/method.ts';
import { smallWorker } from '../support/small-run.ts';

const { values } = parseArgs({
  options: {
    models: { type: 'string', default: 'resnet18,resnet50' },
    workers: { type: 'string', default: '1,2,4' },
    steps: { type: 'string', default: '10' },
    leaves: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
    /** Given to the worker processes of this benchmark. */
    join: { type: 'string' },
  },
});
const steps = Number(values.steps);
const warmUp = 3;
const waitMs = 600_000;
const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const self = fileURLToPath(import.meta.url);

interface Row {
  model: string;
  workers: number;
  stateMegabytes: number;
  inMegabytes: number;
  outMegabytes: number;
  cpuSeconds: number;
  residentMegabytes: number;
  secondsPerStep: number;
}

type Figures = Record<string, number>;

async function scrape(url: string): Promise<Figures> {
  const text = await (await fetch(url)).text();
  const lines = [...text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)];
  return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)]));
}

const stepOf = (figures: Figures): number => figures['tandem_step'] ?? 0;

async function scrapeAt(url: string, step: number, seen: (now: Figures) => void): Promise<Figures> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const figures = await scrape(url);
    seen(figures);
    if (stepOf(figures) >= step) return figures;
    if (Date.now() > deadline) throw new Error(`step ${step} did not come; at ${stepOf(figures)}`);
    await sleep(50);
  }
}

/** The address in a line that the coordinator, told to by its supervisor, writes to stderr. */
function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`the coordinator ended with ${code}: ${text}`)));
  });
}

async function measure(folder: string, model: ModelName, workers: number): Promise<Row> {
  const leaves = Number(values.leaves);
  const flags = {
    ...{ data: 'synthetic:64', model, size: 32, batch: 2 * leaves, 'micro-batch': 2, seed: 5 },
    ...{ steps: 100_000, 'checkpoint-every': 100_000, 'min-workers': workers },
    ...{ metrics: '127.0.0.1:0', run: join(folder, `${model}-${workers}`) },
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const stdio: ['ignore', 'ignore', 'pipe', 'ipc'] = ['ignore', 'ignore', 'pipe', 'ipc'];
  const options = { execArgv: [...collectAtOnce], stdio, env: { ...process.env, NO_COLOR: '1' } };
  const coordinator = fork(bin, ['coordinator', ...args], options);
  const address = new Promise<string>((resolve) => {
    coordinator.on('message', (message: { address?: string }) => {
      if (message.address !== undefined) resolve(message.address);
    });
  });
  const url = await said(coordinator, /metrics: (\S+)/);
  const at = await address;
  const joined = Array.from({ length: workers }, (_, i) =>
    fork(self, ['--join', `${at} w${i}`], { execArgv: [...collectAtOnce] }),
  );
  try {
    let resident = 0;
    const see = (now: Figures) => {
      resident = Math.max(resident, now['tandem_process_resident_memory_bytes'] ?? 0);
    };
    const before = await scrapeAt(url, warmUp, see);
    const began = performance.now();
    const after = await scrapeAt(url, stepOf(before) + steps, see);
    const seconds = (performance.now() - began) / 1000;
    const done = stepOf(after) - stepOf(before);
    const grown = (name: string) => ((after[name] ?? 0) - (before[name] ?? 0)) / done;
    const wire = (direction: string) => grown(`tandem_wire_bytes_total{direction="${direction}"}`);
    const net = architecture(model);
    return {
      ...{ model, workers },
      stateMegabytes: (4 * (2 * net.parameterCount + net.statisticCount)) / 1e6,
      inMegabytes: wire('gradients-in') / 1e6,
      outMegabytes: (wire('weights-out') + wire('samples-out')) / 1e6,
      cpuSeconds: grown('tandem_process_cpu_seconds_total'),
      residentMegabytes: resident / 1e6,
      secondsPerStep: seconds / done,
    };
  } finally {
    coordinator.kill('SIGKILL');
    for (const worker of joined) worker.kill('SIGKILL');
  }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-size-'));
  try {
    const rows: Row[] = [];
    if (!values.json)
      process.stdout.write(
        'model     workers  state  in/step  out/step  CPU/step  resident  step\n',
      );
    for (const model of values.models.split(',') as ModelName[])
      for (const count of values.workers.split(',').map(Number)) {
        const row = await measure(folder, model, count);
        rows.push(row);
        const cells = [
          ...[row.model.padEnd(9), String(count).padStart(7), mega(row.stateMegabytes, 6)],
          ...[mega(row.inMegabytes, 8), mega(row.outMegabytes, 9)],
          ...[`${row.cpuSeconds.toFixed(2)} s`.padStart(9), mega(row.residentMegabytes, 9)],
          `${row.secondsPerStep.toFixed(2)} s`,
        ];
        if (!values.json) process.stdout.write(`${cells.join(' ')}\n`);
      }
    if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const mega = (value: number, width: number): string => `${value.toFixed(0)} MB`.padStart(width);

if (values.join === undefined) await main();
else {
  const [address = '', name = ''] = values.join.split(' ');
  await smallWorker(address, name, new AbortController().signal);
}
