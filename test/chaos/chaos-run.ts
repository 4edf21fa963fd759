/**
 * One chaos run whole: the quiet run of one worker, the same run under fire, and the comparison.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findNatsServer } from '../../cli/nats-broker.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { freePort } from '../support/nats-server.ts';
import { Cluster } from './cluster.ts';
import { type Deed, follow, playSchedule, playTrace, type Watch } from './drive.ts';
import { type ChaosGoodput, chaosGoodput } from './goodput.ts';
import { type Hosts, loopback, namespaces, type PacketCounts } from './hosts.ts';
import type { ChaosOptions } from './options.ts';
import { differences, eventsOf, type Outcome, outcomeOf } from './outcome.ts';
import { drawSchedule, type TimedFault } from './schedule.ts';

/** Workers that a drained or joining place may make, beyond the usual ones. */
const extraPlaces = 2;

export interface Fired {
  outcome: Outcome;
  deeds: Deed[];
  events: RunEvent[];
  goodput: ChaosGoodput;
  /** From the start of the first process to the end of the coordinator, by this process's clock. */
  wallMs: number;
  packets: PacketCounts | null;
  unexpected: string[];
}

export interface ChaosReport {
  quiet: { outcome: Outcome; wallMs: number };
  fired: Fired;
  /** Empty where the promise holds. */
  faults: string[];
}

export interface ChaosTold {
  onPhase: (what: 'quiet' | 'fire') => void;
  onEvent: (event: RunEvent, watch: Watch) => void;
  onDeed: (deed: Deed, fault?: TimedFault) => void;
  /** For signals: what has to be ended by force. */
  onCluster: (cluster: Cluster | null, hosts: Hosts | null) => void;
}

export const scheduleOf = (options: ChaosOptions): readonly TimedFault[] => drawSchedule(options);

const local = (options: ChaosOptions) => (options.network === null ? options.data : null);

/** The run of one worker that nobody disturbs. */
async function quietRun(options: ChaosOptions, folder: string, told: ChaosTold) {
  const run = options.quietRun ?? join(folder, 'quiet');
  const began = performance.now();
  if (!existsSync(join(run, 'events.jsonl'))) {
    const hosts = await loopback();
    const cluster = new Cluster({
      ...{ hosts, run, logs: join(folder, 'logs-quiet'), options: options.method },
      ...{ small: options.small, workerData: options.data, paceMs: [], nats: null },
    });
    told.onCluster(cluster, hosts);
    const over = new AbortController();
    const watch = { step: 0, stepMs: 0, events: 0 };
    const following = follow(run, watch, over.signal, (event) => told.onEvent(event, watch));
    cluster.startCoordinator();
    cluster.startWorker(1);
    await cluster.done;
    over.abort();
    await cluster.close();
    await following;
    if (cluster.unexpected.length > 0) throw new Error(cluster.unexpected.join('\n'));
  }
  const wallMs = performance.now() - began;
  return { outcome: await outcomeOf(run, options.steps, options.small), wallMs };
}

/** The same run under fire. */
async function firedRun(options: ChaosOptions, folder: string, told: ChaosTold): Promise<Fired> {
  const run = join(folder, 'fire');
  const places = Math.max(options.workers + extraPlaces, ...(options.trace ?? []));
  const { network, seed, small } = options;
  const hosts = network
    ? await namespaces({ ...network, workers: places, seed })
    : await loopback();
  told.onCluster(null, hosts);
  const over = new AbortController();
  let cluster: Cluster | null = null;
  try {
    const nats = await natsFor(options, folder);
    const publish = nats === null ? [] : ['--nats', `nats://127.0.0.1:${nats.port}`];
    cluster = new Cluster({
      ...{ hosts, run, logs: join(folder, 'logs-fire'), small, nats },
      paceMs: Array<number>(places).fill(options.leafMs),
      ...{ options: [...options.method, ...publish], workerData: local(options) },
    });
    told.onCluster(cluster, hosts);
    const began = performance.now();
    const watch: Watch = { step: 0, stepMs: 0, events: 0 };
    const following = follow(run, watch, over.signal, (event) => told.onEvent(event, watch));
    following.catch(() => undefined);
    cluster.startNats();
    cluster.startCoordinator();
    const deeds: Deed[] = [];
    const drive = {
      ...{ cluster, hosts, watch, signal: over.signal },
      onDeed: (deed: Deed, fault?: TimedFault) => {
        deeds.push(deed);
        told.onDeed(deed, fault);
      },
    };
    if (options.trace === null)
      for (let place = 1; place <= options.workers; place += 1) cluster.startWorker(place);
    const playing = Promise.all([
      playSchedule(scheduleOf(options), places, drive),
      options.trace === null ? null : playTrace(options.trace, options.tickMs, drive),
    ]);
    await Promise.race([cluster.done, playing.then(() => cluster?.done)]);
    const wallMs = performance.now() - began;
    over.abort();
    await playing;
    const packets = await hosts.packets();
    await cluster.close();
    await following;
    const events = eventsOf(run);
    return {
      outcome: await outcomeOf(run, options.steps, small),
      ...{ deeds, events, wallMs, packets, unexpected: cluster.unexpected },
      goodput: chaosGoodput(events, options.workers),
    };
  } finally {
    over.abort();
    await cluster?.close();
    await hosts.close();
    told.onCluster(null, null);
  }
}

async function natsFor(options: ChaosOptions, folder: string) {
  if ((options.counts['kill-nats'] ?? 0) === 0) return null;
  if (options.network !== null) throw new Error('--nats-kills and --network exclude each other.');
  const program = process.env['TANDEM_NATS_SERVER'] ?? findNatsServer(process.env);
  if (program === null) throw new Error('--nats-kills needs a nats-server on PATH.');
  const store = join(folder, 'nats');
  mkdirSync(store, { recursive: true });
  return { program, port: await freePort(), store };
}

/** Runs both and compares. Rejects where a run cannot be brought to its end. */
export async function chaosRun(
  options: ChaosOptions,
  folder: string,
  told: ChaosTold,
): Promise<ChaosReport> {
  told.onPhase('quiet');
  const quiet = await quietRun(options, folder, told);
  told.onPhase('fire');
  const fired = await firedRun(options, folder, told);
  const faults = [...differences(fired.outcome, quiet.outcome), ...fired.unexpected];
  return { quiet, fired, faults };
}
