/**
 * What a broker costs the training: none, one that is not there, one that stands still, one that
 * lives. Four whole runs in turn, paired block by block against the one without a broker.
 *
 * Usage: node dist/test/bench/broker-cost.js [ROUNDS] [exact | MODEL:SIZE:BATCH:PRECISION]
 *
 * The server that stands still is stopped (SIGSTOP) once events have reached it. Figures: the ratio
 * of images a second to the run without a broker, and of the processor time of a step, of all
 * processes and of the coordinator alone, with the 95 % interval of the median of the rounds. All
 * runs stand still while another is measured. `exact` (the preset) is the small model with exact
 * compute in TensorFlow's place: the shortest of steps, so a broker's cost is at its largest beside
 * it, and `moreCoordinatorMs` is that cost, a step. TANDEM_NATS_SERVER names the server's program.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'nats';
import { chooseCases } from '../../cli/bench/cases.ts';
import { median, medianInterval, pairedRatios } from '../../cli/bench/statistics.ts';
import { startTandemRun, type TandemRun } from '../../cli/bench/tandem-run.ts';
import { startExactRun } from './exact-run.ts';
import { freePort } from '../support/nats-server.ts';

const [rounds = '10', name = 'exact'] = process.argv.slice(2);
const one = name === 'exact' ? null : (chooseCases([], name)[0] ?? null);
const program = process.env['TANDEM_NATS_SERVER'] ?? 'nats-server';
if (spawnSync(program, ['--version']).status !== 0)
  throw new Error(`"${program}" is no nats-server: name one in TANDEM_NATS_SERVER`);
const blockSteps = one === null ? 60 : 8;
const brokers = ['absent', 'dead', 'stalled', 'live'] as const;
type Broker = (typeof brokers)[number];

const folder = mkdtempSync(join(tmpdir(), 'tandem-broker-'));
const servers: ChildProcess[] = [];

async function server(): Promise<{ child: ChildProcess; url: string }> {
  const port = await freePort();
  const config = join(folder, `${port}.conf`);
  writeFileSync(config, `jetstream { store_dir: "${folder}/${port}" }\n`);
  const child = spawn(program, ['-a', '127.0.0.1', '-p', `${port}`, '-c', config], {
    stdio: 'ignore',
  });
  servers.push(child);
  return { child, url: `nats://127.0.0.1:${port}` };
}

/** Waits until the stream of a run holds something. */
async function reached(url: string): Promise<void> {
  for (let tries = 0; tries < 1200; tries += 1) {
    const client = await connect({ servers: url, timeout: 2000 }).catch(() => null);
    const manager = await client?.jetstreamManager().catch(() => null);
    const streams =
      (await manager?.streams
        .list()
        .next()
        .catch(() => [])) ?? [];
    await client?.close();
    if (streams.some(({ state }) => state.messages > 0)) return;
    await sleep(50);
  }
  throw new Error(`no event has reached ${url}`);
}

async function begin(broker: Broker): Promise<TandemRun> {
  const signal = new AbortController().signal;
  const made = broker === 'stalled' || broker === 'live' ? await server() : null;
  const url = made?.url ?? `nats://127.0.0.1:${await freePort()}`;
  const more: Record<string, string> = broker === 'absent' ? {} : { nats: url };
  const run =
    one === null
      ? await startExactRun(Object.entries(more).flatMap(([key, value]) => [`--${key}`, value]))
      : await startTandemRun({
          ...{ ...one, microBatch: one.batch / 2, workers: 1, env: process.env, signal },
          ...{ data: `synthetic:${2 * one.batch}`, more },
        });
  if (made !== null) await reached(made.url);
  if (broker === 'stalled') made?.child.kill('SIGSTOP');
  return run;
}

interface Figures {
  speed: number[];
  all: number[];
  coordinator: number[];
}

const ratioTo = (ours: number[], peer: number[]) => {
  const ratios = pairedRatios(ours, peer);
  return { ratio: median(ratios), interval: medianInterval(ratios) };
};
const runs = new Map<Broker, TandemRun>();
const found = new Map<Broker, Figures>();
const figuresOf = (broker: Broker): Figures => {
  const figures = found.get(broker) ?? { speed: [], all: [], coordinator: [] };
  found.set(broker, figures);
  return figures;
};
try {
  for (const broker of brokers) runs.set(broker, await begin(broker));
  for (let round = 0; round < Number(rounds); round += 1) {
    // Each takes each place in turn.
    const order = brokers.map((_, i) => brokers[(i + round) % brokers.length]!);
    for (const broker of order) {
      const [run, figures] = [runs.get(broker)!, figuresOf(broker)];
      const before = run.spent();
      figures.speed.push(await run.block(blockSteps));
      const after = run.spent();
      if (before === null || after === null) throw new Error('this system has no /proc');
      const steps = after.steps - before.steps;
      figures.all.push((after.all - before.all) / steps);
      figures.coordinator.push((after.coordinator - before.coordinator) / steps);
    }
    const so = brokers.slice(1).map((broker) => {
      const { ratio: found } = ratioTo(figuresOf(broker).all, figuresOf('absent').all);
      return `${broker} ${found.toFixed(3)}`;
    });
    console.error(`round ${round + 1} of ${rounds}: processor time so far: ${so.join(', ')}`);
  }
} finally {
  for (const run of runs.values()) await run.end();
  for (const child of servers) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

const absent = figuresOf('absent');
const more = (ours: number[], peer: number[]) => {
  const differences = ours.map((value, i) => 1000 * (value - (peer[i] ?? Number.NaN)));
  return { ms: median(differences), interval: medianInterval(differences) };
};
const figures = brokers.map((broker) => {
  const { speed, all, coordinator } = figuresOf(broker);
  return {
    broker,
    imagesPerSecond: median(speed),
    speed: ratioTo(speed, absent.speed),
    cpuSecondsPerStep: median(all),
    cpu: ratioTo(all, absent.all),
    coordinatorCpuSecondsPerStep: median(coordinator),
    coordinatorCpu: ratioTo(coordinator, absent.coordinator),
    moreCoordinatorMs: more(coordinator, absent.coordinator),
  };
});
console.log(JSON.stringify({ case: name, rounds: Number(rounds), blockSteps, figures }, null, 2));
process.exit();
