/**
 * A whole cluster in one history: the shipped coordinator and the shipped workers, started and
 * restarted as a supervisor would, through the faults of a scenario, to the end of the run.
 */
import { runCoordinator } from '../../coordinator/main.ts';
import { type Config, parseConfig } from '../../shared/core/config.ts';
import { asFailure } from '../../shared/core/failures.ts';
import { methodOf } from '../../shared/core/method-of.ts';
import type { Compute, LeafInput } from '../../shared/ports/compute.ts';
import { runSession } from '../../worker/shell/session.ts';
import type { Dice } from '../support/draws.ts';
import { flatIn } from '../support/held-weights.ts';
import { type Checkers, runFolder, watch } from './checkers.ts';
import { cutPower, find } from './disk.ts';
import { faultsFor } from './faults.ts';
import { busy } from './machine.ts';
import { beginNetwork, network } from './network.ts';
import { type Expected, expectedRun } from './oracle.ts';
import type { Scenario } from './scenario.ts';
import { tinyArchitecture, tinyLeaf } from './tiny.ts';
import type { TinyInput } from './tiny.ts';
import { beginDisk, machine } from './twins/fs-promises.ts';
import { parts } from './twins/parts.ts';
import {
  beginWorld,
  kill,
  later,
  type Process,
  runWorld,
  spawn,
  tell,
  violated,
  world,
} from './world.ts';

export interface Member {
  /** Its place among the workers. */
  index: number;
  process: Process | null;
  /** Ends it in order. */
  end: AbortController;
  lives: number;
  /** Its compute takes so many times as long. */
  slow: number;
}

export interface Leader {
  process: Process;
  end: AbortController;
}

/** What faults act on. */
export interface Cluster {
  scenario: Scenario;
  members: Member[];
  /** Every coordinator's process that is alive, oldest first. */
  leaders: Leader[];
  checkers: Checkers;
  startWorker(member: Member): void;
  startCoordinator(): void;
  /** A coordinator's process is gone by a fault: another one comes after so long. */
  restartCoordinator(ms: number): void;
  /** Coordinators started so far. */
  lives: number;
  /** Whether files may have been damaged by a disk or a power cut. */
  diskFaults: boolean;
  liar: Liar;
}

export interface Outcome {
  seed: number;
  /** Virtual milliseconds to the end. */
  ms: number;
  happened: number;
  /** Null: every claim held. */
  violation: string | null;
  /** Effects of the first coordinator. */
  effects: number;
  liar: Liar;
}

/** What the worker that computes wrongly has computed. */
export interface Liar {
  leaves: number;
  wrong: number;
  convicted: boolean;
}

/** After the last fault a run ends within this, beyond its own work, virtual milliseconds. */
const patienceMs = 150_000;
const happeningsMax = 400_000;

/** Times that a run which holds a lie may stop before it is taken as stopped for good. */
const stopsMax = 8;

/** True where a wrong leaf may be committed, to be found later or never: not with `--audit 1`. */
const mayErr = ({ flips, options }: Scenario): boolean =>
  flips !== undefined && options?.['audit'] !== 1;

const expectations = new Map<string, Expected>();

export function configOf(scenario: Scenario): Config & { run: string } {
  const { leaves, steps, methodSeed, minWorkers, checkpointEvery } = scenario;
  const { config } = parseConfig([
    {
      source: 'flag',
      values: {
        data: 'tiny',
        model: 'resnet18-cifar',
        size: 8,
        batch: 2 * leaves,
        'micro-batch': 2,
        steps,
        seed: methodSeed,
        'min-workers': minWorkers,
        'checkpoint-every': checkpointEvery,
        run: runFolder,
        listen: '127.0.0.1:7000',
        ...scenario.options,
      },
    },
  ]);
  return { ...config, run: runFolder };
}

function expectedOf(scenario: Scenario, config: Config): Expected {
  const { samples, undecodable } = scenario;
  const name = [samples, scenario.leaves, scenario.steps, scenario.methodSeed, undecodable].join();
  const known =
    expectations.get(name) ?? expectedRun(methodOf(config, samples), samples, undecodable);
  if (expectations.size > 500) expectations.clear();
  expectations.set(name, known);
  return known;
}

/** Plays one scenario to its end. */
export async function play(
  scenario: Scenario,
  trace: ((line: string) => void) | null = null,
): Promise<Outcome> {
  beginWorld(scenario.seed, trace);
  beginDisk();
  beginNetwork();
  network.latency = scenario.latency;
  network.duplicates = scenario.duplicates;
  network.stale = scenario.stale;
  parts.samples = scenario.samples;
  parts.undecodable = new Set(scenario.undecodable);
  const config = configOf(scenario);
  const cluster = clusterOf(scenario, config, expectedOf(scenario, config));
  try {
    await runWorld(cluster.done);
  } catch {
    // It is the world's violation.
  }
  const { violation, now: ms, happened } = world;
  const effects = world.processes.find(({ name }) => name.startsWith('c'))?.effects ?? 0;
  const { seed } = scenario;
  const { liar } = cluster;
  liar.convicted = cluster.checkers.convicts.size > 0;
  return { seed, ms, happened, violation: violation?.message ?? null, effects, liar };
}

function clusterOf(
  scenario: Scenario,
  config: Config & { run: string },
  expected: Expected,
): Cluster & { done: () => boolean } {
  let finished = false;
  let stops = 0;
  const slowest = Math.max(...scenario.leafMs);
  const deadline =
    scenario.calmAtMs + patienceMs + 4 * scenario.steps * (scenario.leaves * slowest + 500);

  const cluster: Cluster & { done: () => boolean } = {
    scenario,
    members: [],
    leaders: [],
    checkers: watch(() => machine.disk, expected, mayErr(scenario)),
    diskFaults: false,
    liar: { leaves: 0, wrong: 0, convicted: false },
    lives: 0,
    startWorker: (member) => startWorker(cluster, member),
    startCoordinator: () => startCoordinator(),
    restartCoordinator(ms) {
      later(null, ms, () => {
        if (!finished && cluster.leaders.length === 0) startCoordinator();
      });
    },
    done: () => {
      if (world.now > deadline)
        violated(`the run does not end: ${Math.round(deadline / 1000)} s are over`);
      if (world.happened > (scenario.happeningsMax ?? happeningsMax))
        violated('the run does not end: too much happens');
      return finished;
    },
  };

  function startCoordinator(): void {
    const leader = { process: spawn(`c${world.processes.length}`), end: new AbortController() };
    const { process, end } = leader;
    cluster.leaders.push(leader);
    tell('process', `${process.name} is started`);
    if (crash !== undefined && cluster.lives === 0) crashFirst(process, crash);
    cluster.lives += 1;
    process.onDeath.push(() => {
      cluster.leaders = cluster.leaders.filter((other) => other !== leader);
      cluster.checkers.afterDeath();
    });
    const say = (line: string) => tell('core', line);
    const failuresBefore = machine.disk.failures;
    begin(process, () => runCoordinator({ config, signal: end.signal, say })).then(
      ({ stopped, digest, step }) => {
        if (!process.alive) return;
        tell('process', `${process.name} ends: ${stopped ? 'stopped' : 'done'} at step ${step}`);
        kill(process, 'has ended');
        if (stopped && scenario.endOnceRepaired && isRepaired()) {
          cluster.checkers.atStop({ digest, step });
          finished = true;
          return;
        }
        if (stopped) {
          cluster.restartCoordinator(world.dice.faults.between(50, 2000));
          return;
        }
        cluster.checkers.atEnd({ digest, step }, { tornEvents: cluster.diskFaults });
        finished = true;
      },
      (error: unknown) => {
        if (!process.alive) return;
        const { code, message } = asFailure(error);
        tell('process', `${process.name} fails: ${code}: ${message}`);
        kill(process, 'has ended');
        const diskFailed = machine.disk.failures > failuresBefore;
        const lied = code === 'not-deterministic' && scenario.flips !== undefined;
        if (!diskFailed && code !== 'fenced' && !lied)
          violated(`a coordinator fails: ${code}: ${message}`);
        stops += lied ? 1 : 0;
        // A wrong record that no conviction explains: it stops rather than go on from it.
        if (stops > stopsMax && mayErr(scenario) && cluster.checkers.convicts.size === 0)
          finished = true;
        else cluster.restartCoordinator(world.dice.faults.between(50, 2000));
      },
    );
  }

  const { crash } = scenario;

  /** A worker was convicted, and what it had a part in is computed again. */
  const isRepaired = () =>
    cluster.checkers.convicts.size > 0 && find(machine.disk, `${runFolder}/review.json`) === null;

  function endOnceRepaired(): void {
    if (!isRepaired()) later(null, 100, endOnceRepaired);
    else for (const { end, process } of cluster.leaders) later(process, 0, () => end.abort());
  }
  if (scenario.endOnceRepaired) endOnceRepaired();

  function crashFirst(process: Process, { effect, when, powerCut }: NonNullable<typeof crash>) {
    process.trap = { left: effect, when };
    process.onDeath.push(() => {
      if (powerCut) {
        cluster.diskFaults = true;
        cutPower(machine.disk, world.dice.disk);
      }
      cluster.restartCoordinator(20);
    });
  }

  scenario.leafMs.forEach((_, index) => {
    const member = { index, process: null, end: new AbortController(), lives: 0, slow: 1 };
    cluster.members.push(member);
    later(null, world.dice.faults.between(0, 100), () => cluster.startWorker(member));
  });
  later(null, world.dice.faults.between(0, 100), startCoordinator);
  for (const { atMs, fault } of scenario.faults)
    later(null, atMs, () => {
      if (finished) return;
      tell('fault', JSON.stringify(fault));
      faultsFor(cluster, fault);
    });
  later(null, scenario.calmAtMs, () => {
    for (const leader of cluster.leaders) leader.process.trap = null;
  });
  return cluster;
}

function startWorker(cluster: Cluster, member: Member): void {
  if (member.process?.alive) return;
  const { sameNames } = cluster.scenario;
  member.lives += 1;
  const name = sameNames ? `w${member.index}` : `w${member.index}.${member.lives}`;
  const process = spawn(name);
  process.slow = member.slow;
  member.process = process;
  member.end = new AbortController();
  tell('process', `${name} is started`);
  const over = (why: string) => {
    if (!process.alive) return;
    tell('process', `${name} ends: ${why}`);
    kill(process, 'has ended');
    later(null, world.dice.faults.between(50, 1000), () => startWorker(cluster, member));
  };
  begin(process, () =>
    runSession({
      coordinator: '127.0.0.1:7000',
      name,
      dataset: null,
      graceMs: 10_000,
      compute: async () => tinyCompute(process, cluster, member.index),
      describe: () => 'tiny',
      signal: member.end.signal,
      say: (line) => tell('worker', line),
    }),
  ).then(
    () => over('done'),
    (error: unknown) => {
      if (!process.alive) return;
      const { code, message } = asFailure(error);
      const { flips } = cluster.scenario;
      const convicted = code === 'quarantined' && flips?.worker === member.index;
      const stopped = code === 'not-deterministic' && flips !== undefined;
      if (code !== 'coordinator-unreachable' && !convicted && !stopped)
        violated(`${name} fails: ${code}: ${message}`);
      // As `tandem train` has it, a convict is not started again.
      if (convicted) kill(process, 'is convicted');
      else over(message);
    },
  );
}

/** Runs a program in a turn of its own process. */
const begin = <T>(process: Process, program: () => Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    later(process, 0, () => program().then(resolve, reject));
  });

/** The tiny exact model at a worker's own pace. */
function tinyCompute(process: Process, cluster: Cluster, index: number): Compute {
  const { liar, scenario } = cluster;
  const { evenPace, flips } = scenario;
  const leafMs = scenario.leafMs[index] ?? 1;
  const { compute: dice } = world.dice;
  let weights: Float32Array = new Float32Array(0);
  let statistics: Float32Array = weights;
  return {
    describe: () => ({
      backend: 'wasm',
      device: 'CPU',
      version: 'tiny',
      intraOpThreads: 1,
      interOpThreads: 1,
    }),
    async load(memory) {
      ({ weights, statistics } = flatIn(tinyArchitecture, memory));
    },
    async leaf(input: LeafInput) {
      const output = tinyLeaf(weights, statistics, input as unknown as TinyInput);
      await busy(process, evenPace ? leafMs : leafMs * dice.between(0.8, 1.2));
      if (flips?.worker !== index) return output;
      liar.leaves += 1;
      if (!dice.chance(flips.share)) return output;
      liar.wrong += 1;
      flipBit(output.payload, dice);
      return output;
    },
    features: () => Promise.reject(new Error('no survey is part of a simulated run')),
    moments: () => Promise.reject(new Error('no survey is part of a simulated run')),
    view: () => Promise.reject(new Error('no picture is part of a simulated run')),
    close: async () => undefined,
  };
}

function flipBit(values: Float32Array, dice: Dice): void {
  const bits = new Uint32Array(values.buffer);
  const at = dice.whole(0, bits.length - 1);
  bits[at] = (bits[at] as number) ^ (1 << dice.whole(0, 22));
}
