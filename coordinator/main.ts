/**
 * The coordinator's composition root: opens the run folder, recovers the state, listens, runs the
 * loop to its end. Everything that decides is in `core`, everything that touches in `shell`.
 */
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as grpc from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import {
  packageDefinition,
  RunService,
  TrainingService,
  tunedServer,
} from '../shared/adapters/grpc.ts';
import { type HealthServer, serveHealth } from '../shared/adapters/health.ts';
import { architecture } from '../shared/core/architecture.ts';
import { type Config, parseAddress } from '../shared/core/config.ts';
import { isOpen, openTo } from '../shared/core/method-of.ts';
import type { EventBody } from '../shared/core/events.ts';
import { asFailure, Failure } from '../shared/core/failures.ts';
import { emptySummary, fold, type RunSummary } from '../shared/core/summary.ts';
import { protoOldest, protoVersion, silenceMs } from '../shared/wire/limits.ts';
import { namesOf } from './core/convicts.ts';
import { initialState, lastStep, type Plan, type State } from './core/state.ts';
import { monitorIsDue } from './core/survey.ts';
import { clearUnfinished } from './shell/checkpoints.ts';
import { type Door, openDoor } from './shell/door.ts';
import { finishedServer } from './shell/finished-run.ts';
import { type FinalCheckpoint, finalCheckpoint } from './shell/save-checkpoint.ts';
import { arithmetic } from './shell/arithmetic.ts';
import { inThread } from './shell/arithmetic-thread.ts';
import { earlyWeights } from './shell/early-weights.ts';
import { type EventLog, openEventLog } from './shell/event-log.ts';
import { openLedger } from './shell/ledger-file.ts';
import { lossPicture } from './shell/loss-picture.ts';
import { owedCheckpoint, owedFirstCheckpoint } from './shell/owed-checkpoints.ts';
import { describeRun, openRun } from './shell/open-run.ts';
import { recoverModel } from './shell/recovery.ts';
import { recordEvent } from './shell/record-event.ts';
import { readReview, setCheckpointsAside } from './shell/review.ts';
import type { RunContext } from './shell/run-context.ts';
import { clearAddress, writeAddress } from './shell/run-folder.ts';
import { startRunLoop } from './shell/run-loop.ts';
import { runService } from './shell/run-service.ts';
import { stepMeter } from './shell/step-meter.ts';
import { labelsOf } from '../shared/core/labels.ts';
import { surveyImagesMax } from './shell/survey-features.ts';
import { trainingService, turnAwayRevoked } from './shell/training-service.ts';
import { openWatchServers, type WatchServers } from './shell/watch-servers.ts';
import { openMissedEvents } from './shell/missed-events.ts';
import { openPublisher } from './shell/publish-events.ts';

export interface CoordinatorOptions {
  /** With its run folder chosen. */
  config: Config & { run: string };
  /** Aborted for an orderly stop: a checkpoint, then the end. */
  signal: AbortSignal;
  /** Lines for people: what is decided, and why. */
  say: (line: string) => void;
  /** Progress of the first look at the data. */
  onIndex?: (done: number, total: number) => void;
  /** Lines that people need: where the dashboard is. */
  announce?: (line: string) => void;
  /** Once it listens. */
  onListening?: (address: string, run: string) => void;
}

export interface CoordinatorResult extends FinalCheckpoint {
  run: string;
  /** True when it can go on. */
  stopped: boolean;
}

/** Serves a run to its end (or its stop). Rejects with a `Failure`. */
export async function runCoordinator(options: CoordinatorOptions): Promise<CoordinatorResult> {
  const { config, announce = options.say } = options;
  let listen = listenAddress(config);
  if (isOpen(config))
    announce(`WARNING: --insecure: whoever reaches ${config.listen} ${openTo(config)}`);
  const door = openDoor(config, (reason) => announce(`not taken over: ${reason}`));
  let health: HealthServer | null = null;
  try {
    if (config.health !== null) health = await serveHealth(config.health);
    if (health !== null) announce(`health on ${health.address}`);
    for (;;) {
      const life = await serve(options, listen, door, health);
      listen = life.listen;
      // The next life begins before the steps in question, where its workers look for it.
      if (life.kind === 'rewind') continue;
      try {
        await linger(options, life, door, health);
      } finally {
        await life.watchServers?.close();
      }
      return life.result;
    }
  } finally {
    health?.close();
    door.close();
  }
}

/** Answers those who come late, for as long as was asked. */
async function linger(
  options: CoordinatorOptions,
  life: Ended,
  door: Door,
  health: HealthServer | null,
): Promise<void> {
  const { config, signal, announce, say } = options;
  if (config.linger === 0 || signal.aborted) return;
  const { run } = life.result;
  const { generation, summary, events } = life;
  const server = finishedServer({ name: basename(run), generation, summary, events }, door);
  const port = await bind(server, life.listen, door.credentials);
  health?.setReady(true);
  (announce ?? say)(`the run is over; port ${port} says so for ${config.linger} seconds`);
  await sleep(1000 * config.linger, undefined, { signal }).catch(() => undefined);
  await closeServer(server);
}

export interface Listen {
  host: string;
  port: number;
}

interface Ended {
  kind: 'ended';
  result: CoordinatorResult;
  generation: number;
  summary: RunSummary;
  /** Closed: nothing is added any more. */
  events: EventLog;
  /** Dashboard and figures: they show the end for as long as the coordinator lingers. */
  watchServers: WatchServers | null;
  /** Where it listened, the port as chosen. */
  listen: Listen;
}

type Life = Ended | { kind: 'rewind'; listen: Listen };

/** One generation of the coordinator. */
async function serve(
  options: CoordinatorOptions,
  listen: Listen,
  door: Door,
  probes: HealthServer | null,
): Promise<Life> {
  const { config, signal, say } = options;
  const opened = await openRun(config, options.onIndex ?? (() => undefined), signal);
  const { folder, generation, run, samples, dataset } = opened;
  await clearUnfinished(folder, generation);
  const { method } = run;
  const net = architecture(method.model, method.classes?.length);
  const measurable = labelsOf(samples) !== null && samples.length <= surveyImagesMax;
  const plan: Plan = {
    generation,
    protoVersion,
    protoOldest,
    leaves: method.batch / method.microBatch,
    totalSteps: method.totalSteps,
    stopAt: config.stopAt,
    minWorkers: 1,
    checkpointEvery: config.checkpointEvery,
    mixedDevices: config.mixedDevices,
    knn: config.knn && measurable,
    monitorEvery: measurable ? (config.monitorEvery ?? 0) : 0,
    ...(method.objective === 'simsiam' ? { outputWidth: net.outputWidth } : {}),
    samples: samples.length,
    silenceMs,
    seed: method.seed,
    audit: config.audit,
  };
  const name = basename(folder);
  const picture = lossPicture({
    title: `${name}: ${method.model}, ${method.size} px, batch ${method.batch}`,
    outputWidth: net.outputWidth,
    totalSteps: method.totalSteps,
  });
  let summary = emptySummary;
  const convicts = new Set<string>();
  const convicted = new Set<string>();
  const bar = ({ worker, host }: { worker: string; host: string }) => {
    convicted.add(worker);
    for (const known of namesOf(worker, host)) convicts.add(known);
  };
  const events = await openEventLog(folder, generation, (event) => {
    picture.see(event);
    summary = fold(summary, event);
    if (event.kind === 'worker-convicted') bar(event);
  });
  const review = await readReview(folder);
  const untold = (review?.convicts ?? []).filter(({ worker }) => !convicts.has(worker));
  for (const convict of untold) bar(convict);
  // Who takes no part any more is not waited for.
  plan.minWorkers = Math.max(1, config.minWorkers - convicted.size);
  const wrong = review && {
    ...review,
    beforeCut: (first: number) => setCheckpointsAside(folder, first, generation),
    onWrong: async (first: number, count: number, file: string) => {
      const worker = review.convicts.map((convict) => convict.worker).join(', ');
      await recordEvent(
        context,
        { kind: 'branch-set-aside', first, count, file: basename(file), worker },
        `step ${first} is not what ${worker} made of it; the chain goes on before it`,
      );
    },
  };
  const ledger =
    run.identity === null
      ? null
      : await openLedger(join(folder, 'ledger.jsonl'), generation, run.identity, wrong);
  const { model, recovered } = await recoverModel(folder, net, method, ledger, review?.since);
  const early = earlyWeights();
  const context: RunContext = {
    folder,
    name,
    config,
    plan,
    run,
    samples,
    dataset,
    model,
    ledger,
    events,
    picture,
    summary,
    publisher: null,
    review,
    early,
    arithmetic: arithmetic(model, early, inThread),
    meter: stepMeter(),
    door,
    links: new Map(),
    saving: Promise.resolve(),
    byHash: null,
    survey: null,
  };
  const done = events.lastOf('run-done');
  const record = (body: EventBody, because: string, step?: number) =>
    recordEvent(context, body, because, step);
  const watching = (state: () => State) =>
    openWatchServers(context, state, options.announce ?? say);
  if (recovered.step >= lastStep(plan)) {
    if (done === undefined || (events.lastOf('step-committed')?.step ?? 0) < recovered.step)
      await openMissedEvents(context, recovered, describeRun(context));
    const last = await finalCheckpoint(context, record);
    const stopped = recovered.step < plan.totalSteps;
    if (done?.digest !== last.digest) {
      const { loss, std, digest, path: checkpoint } = last;
      const because = 'every step that was asked for is committed already';
      await picture.write(folder);
      await record(
        { kind: 'run-done', stopped, loss, std, digest, checkpoint },
        because,
        last.step,
      );
    }
    await events.close();
    await ledger?.close();
    await clearAddress(folder, generation);
    const over = initialState(plan, recovered.step, run.deviceClass, run.identity, false);
    const watchServers = config.linger > 0 ? await watching(() => over) : null;
    const result = { ...last, run: folder, stopped };
    return {
      ...{ kind: 'ended', result, generation, summary: context.summary },
      ...{ events, watchServers, listen },
    };
  }
  const watchServers = await watching(() => loop.state);
  context.publisher = openPublisher(context, say);

  const measuredLast = events.lastOf('knn-measured')?.step;
  const knnBefore = monitorIsDue(plan, recovered.step) && measuredLast !== recovered.step;
  const loop = startRunLoop(
    context,
    initialState(plan, recovered.step, run.deviceClass, run.identity, knnBefore, [...convicts]),
    say,
  );
  await openMissedEvents(context, recovered, describeRun(context));
  for (const { worker, host, leaf, step } of untold)
    await record(
      { kind: 'worker-convicted', worker, host, leaf },
      'its conviction is under review, and its event was lost with the machine',
      step,
    );
  if (!measurable && (config.knn || config.monitorEvery !== null))
    await record(
      {
        kind: 'warning',
        code: 'data-unlabelled',
        message:
          `--knn and --monitor-every need 2 classes or more (the first folder of each path) and at ` +
          `most ${surveyImagesMax} images: nothing is measured`,
      },
      'what was asked for cannot be measured on this data',
    );
  await owedFirstCheckpoint(context, (body, because) => record(body, because, 0));
  await owedCheckpoint(context, record);

  const server = tunedServer(door.guard);
  server.addService(
    TrainingService.service,
    trainingService(context, () => loop),
  );
  server.addService(
    RunService.service,
    runService(context, () => loop),
  );
  const health = new HealthImplementation({
    '': 'SERVING',
    'tandem.v1.TrainingService': 'SERVING',
  });
  health.addToServer(server);
  new ReflectionService(packageDefinition).addToServer(server);
  const port = await bind(server, listen, door.credentials);
  const address = `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`;
  await writeAddress(folder, { address, pid: process.pid, generation });
  options.onListening?.(address, folder);
  probes?.setReady(true);

  const tick = setInterval(() => {
    turnAwayRevoked(context, loop);
    loop.dispatch({ kind: 'tick' });
  }, 1000);
  const stop = () =>
    loop.dispatch({ kind: 'stop-requested', reason: asFailure(signal.reason).message });
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();

  const ended = await loop.ended;
  clearInterval(tick);
  signal.removeEventListener('abort', stop);
  health.setStatus('', 'NOT_SERVING');
  probes?.setReady(false);
  // Whoever looks at a run that goes on comes back, and must not hear that it is over.
  if (ended.kind === 'rewind') await watchServers.close();
  await events.close();
  if (ended.kind === 'failed') await watchServers.close();
  for (const link of context.links.values()) link.close('the run ended');
  await closeServer(server);
  await context.publisher?.close();
  await Promise.allSettled(context.model.readers.values());
  await context.arithmetic.close();
  await context.ledger?.close();
  await clearAddress(folder, generation);
  if (ended.kind === 'failed') throw ended.failure;
  const bound = { host: listen.host, port };
  if (ended.kind === 'rewind') return { kind: 'rewind', listen: bound };
  const { checkpoint, stopped } = ended;
  const result = { ...checkpoint, run: folder, stopped };
  return {
    ...{ kind: 'ended', result, generation, summary: context.summary },
    ...{ events, watchServers, listen: bound },
  };
}

export function listenAddress(config: Pick<Config, 'listen' | 'insecure'>): Listen {
  const address = parseAddress(config.listen);
  if (address === null)
    throw new Failure('bad-option', `--listen takes HOST:PORT; found ${config.listen}`);
  return address;
}

export function bind(
  server: grpc.Server,
  at: Listen,
  credentials: grpc.ServerCredentials,
): Promise<number> {
  const host = at.host.includes(':') ? `[${at.host}]` : at.host;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${at.port}`, credentials, (error, port) => {
      if (error === null) {
        resolve(port);
        return;
      }
      const message =
        `cannot listen on ${host}:${at.port}: ${error.message}. Another program may have the ` +
        'port; choose another --listen, or port 0 for a free one';
      reject(new Failure('address-in-use', message, { cause: error }));
    });
  });
}

/** Lets streams end by themselves for a moment, then cuts. */
export async function closeServer(server: grpc.Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  await Promise.race([closed, sleep(1000)]);
  server.forceShutdown();
}
