/**
 * A worker's life: runs the conversation's effects on real streams, computes, and comes back with
 * jittered backoff when the coordinator is away.
 */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type * as grpc from '@grpc/grpc-js';
import { architecture } from '../../shared/core/architecture.ts';
import { payloadElements } from '../../shared/core/architecture-types.ts';
import { asFailure, Failure, type FailureCode, type Remedy } from '../../shared/core/failures.ts';
import type { Method } from '../../shared/core/method.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { unreachable } from '../../shared/core/unreachable.ts';
import { type WeightLayout, weightLayout } from '../../shared/core/weight-layout.ts';
import { type WeightMemory, weightMemory } from '../../shared/core/weight-memory.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import type { Dataset } from '../../shared/ports/dataset.ts';
import { type ClientSecurity, type Dialled, dial } from '../../shared/adapters/dial.ts';
import { protoOldest, protoVersion } from '../../shared/wire/limits.ts';
import type { ConverseRequest, ConverseResponse } from '../../shared/wire/messages.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { beginConversation, converse } from '../core/conversation.ts';
import type {
  ConversationEffect,
  ConversationEvent,
  LeaseTask,
  Task,
  Welcome,
} from '../core/conversation-types.ts';
import { type Canary, runCanary } from './canary.ts';
import { type ImageSource, imageSource, SampleFailure } from './images.ts';
import { prepareSurvey } from './leaf-input.ts';
import { type FinishedNode, type RunningNode, runNode } from './node-runner.ts';
import { type PayloadPool, payloadPool } from './payload-pool.ts';
import { openTransport, type Transport, type WeightsAhead } from './transport.ts';
import type { SentHashes, WeightsTarget } from './receive-weights.ts';
import { turnedAwayBy } from './turned-away.ts';

export interface SessionOptions {
  /** HOST:PORT of the coordinator. */
  coordinator: string;
  /** What it shows there and whom it trusts; nothing where absent. */
  security?: ClientSecurity | undefined;
  name: string;
  /** The worker's own data, or null. */
  dataset: Dataset | null;
  /** Makes the compute for a method; called once a run. */
  compute: (method: Method) => Promise<Compute>;
  describe: (compute: Compute) => string;
  signal: AbortSignal;
  /** After the signal the worker stays so long for what it holds to be fetched, milliseconds. */
  graceMs: number;
  /** Waits for another coordinator where one stops and its run can go on. */
  untilDone?: boolean;
  /** Whether a coordinator counts on this worker, each time that it changes. */
  onAdmitted?: (admitted: boolean) => void;
  say: Say;
}

/** Attempts to reach a coordinator before the worker gives up: about five minutes. */
const reconnectsMax = 250;
const backoffMsMax = 1500;
/** A step is announced right after its weights are made: what is not here by then is pulled. */
const aheadMs = 5000;
/** Turned away because another run is served: it asks seldom, some minutes long. */
const turnedAwayMax = 20;
const turnedAwayMs = 30_000;

interface HeldNode extends FinishedNode {
  step: number;
  weightsHash: string;
}

/** What a worker keeps of a run from one connection to the next. */
interface Prepared {
  run: string;
  method: Method;
  compute: Compute;
  samples: Sample[];
  images: ImageSource;
  payloads: PayloadPool;
  canary: Canary;
  layout: WeightLayout;
  /** Where the compute finds its weights, and where the next are put meanwhile. */
  memories: { held: WeightMemory; free: WeightMemory };
  /** Of what the compute has; empty while it has nothing of use. */
  loaded: SentHashes;
}

/** A line for people; without a level it is a warning. */
export type Say = (line: string, level?: 'info' | 'warn') => void;

/** Serves runs until one is done (true: or until it was let go); rejects with the failure. */
export function runSession(options: SessionOptions): Promise<boolean> {
  const { say, signal, name } = options;
  let state = beginConversation;
  let transport: Transport | null = null;
  let stream: ReturnType<Transport['converse']> | null = null;
  let gradients: { end(): void } | null = null;
  let heartbeat: NodeJS.Timeout | null = null;
  let prepared: Prepared | null = null;
  /** What the open step makes, on its way since this worker handed in a part of it. */
  let ahead: WeightsAhead | null = null;
  /** Hash of the weights that were announced last. */
  let announced = '';
  /** Of the run that admitted this worker; it keeps a worker from wandering into another. */
  let identity = '';
  let working = new AbortController();
  /** One job at a time: a new one begins when the one before has let go of the compute thread. */
  let job: Promise<void> = Promise.resolve();
  /** Finished nodes of the open step; they outlive a connection. */
  const held = new Map<string, HeldNode>();
  /** The lease that is computed now. */
  let running: { task: LeaseTask; node: RunningNode; done: number } | null = null;
  const nodeKey = (n: { step: number; level: number; index: number }) =>
    `${n.step}/${n.level}/${n.index}`;

  return new Promise<boolean>((resolve, reject) => {
    let orderly = true;
    const line: Dialled = dial(options.coordinator, options.security);
    const send = (message: ConverseRequest) => {
      if (stream && !stream.destroyed && stream.writable) stream.write(message);
    };

    function dispatch(event: ConversationEvent): void {
      const turn = converse(state, event);
      state = turn.state;
      for (const effect of turn.effects) {
        try {
          perform(effect);
        } catch (error) {
          end(asFailure(error));
        }
      }
    }

    function end(failure: Failure | null): void {
      signal.removeEventListener('abort', stop);
      clearTimeout(patience);
      working.abort(new Error('the worker ends'));
      hangUp();
      line.close();
      void job.finally(async () => {
        await prepared?.compute.close();
        if (failure) reject(failure);
        else resolve(orderly);
      });
    }

    function hangUp(): void {
      options.onAdmitted?.(false);
      if (heartbeat) clearInterval(heartbeat);
      gradients?.end();
      stream?.end();
      ahead?.cancel();
      const old = transport;
      transport = null;
      stream = null;
      gradients = null;
      // Last words (a leave message) get a moment to travel.
      if (old) setTimeout(() => old.close(), 100);
    }

    function connect(): void {
      const opened = openTransport(line);
      transport = opened;
      const control = opened.converse();
      stream = control;
      const lost = (reason: string) => {
        if (stream !== control) return;
        hangUp();
        dispatch({ kind: 'disconnected', reason });
      };
      control.on('data', (message: ConverseResponse) => {
        if (stream === control) take(message);
      });
      control.on('error', (error: grpc.ServiceError) => {
        const mine = stream === control;
        const welcome = state.generation > 0;
        const turnedAway = mine ? turnedAwayBy(error, welcome, state.failures) : null;
        if (turnedAway === null) return lost(error.message);
        hangUp();
        dispatch(turnedAway);
      });
      control.on('end', () => lost('the coordinator ended the conversation'));
      dispatch({ kind: 'connected' });
    }

    function take(message: ConverseResponse): void {
      if (message.welcome) dispatch({ kind: 'welcomed', welcome: message.welcome });
      else if (message.admitted) {
        identity = message.admitted.identity;
        options.onAdmitted?.(true);
        dispatch({ kind: 'admitted' });
      } else if (message.lease)
        dispatch({ kind: 'tasked', task: { kind: 'lease', ...message.lease } });
      else if (message.surveyLease)
        dispatch({ kind: 'tasked', task: { kind: 'survey', ...message.surveyLease } });
      else if (message.stepCommitted)
        dispatch({ kind: 'step-committed', ...message.stepCommitted });
      else if (message.shrink) dispatch({ kind: 'shrunk', ...message.shrink });
      else if (message.drain) leave(message.drain.reason);
      else if (message.released) dispatch({ kind: 'released' });
      else if (message.refused) {
        const { code, message: text, remedy } = message.refused;
        dispatch({
          kind: 'refused',
          code: code as FailureCode,
          message: text,
          remedy: remedy as Remedy,
        });
      } else if (message.runDone) done(message.runDone.message, message.runDone.stopped === true);
    }

    /** The run is over, or stands still until another coordinator takes it up. */
    function done(text: string, stopped: boolean): void {
      if (!stopped || options.untilDone !== true)
        return dispatch({ kind: 'run-done', message: text });
      hangUp();
      dispatch({ kind: 'disconnected', reason: text });
    }

    function perform(effect: ConversationEffect): void {
      switch (effect.kind) {
        case 'join':
          // The description is only known once the compute is there; it comes with the second join.
          send({
            join: {
              protoVersion,
              worker: name,
              pid: process.pid,
              host: hostname(),
              description: prepared ? options.describe(prepared.compute) : '',
              identity,
              session: state.session,
              protoOldest,
            },
          });
          return;
        case 'prove':
          heartbeat = setInterval(sendHeartbeat, effect.welcome.heartbeatMs);
          prove(effect.welcome);
          return;
        case 'send-ready': {
          const description = prepared ? options.describe(prepared.compute) : '';
          const graph = prepared?.canary.graph ?? '';
          send({ ready: { stages: effect.stages, description, held: heldReports(), graph } });
          return;
        }
        case 'open-gradients':
          gradients =
            transport?.serveGradients(
              { worker: name, generation: state.generation, session: state.session },
              (wish) => held.get(nodeKey(wish))?.payload,
            ) ?? null;
          return;
        case 'work':
          work(effect.task);
          return;
        case 'send-node': {
          const { generation, step, attempt } = effect.task;
          const { level, index, leaves } = effect.node;
          send({ nodeReady: { generation, step, level, index, leaves, attempt } });
          followWeights(generation, step);
          return;
        }
        case 'send-features': {
          const { generation, step, work, chunk } = effect.task;
          const { features } = effect;
          send({
            featuresReady: { generation, step, work, chunk, features, crc32: crc32(features) },
          });
          return;
        }
        case 'send-failed': {
          const { generation, step } = effect.task;
          const { code, message, sample } = effect;
          const samplePlusOne = sample === null ? 0 : sample + 1;
          send({ leaseFailed: { generation, step, code, message, samplePlusOne } });
          return;
        }
        case 'forget':
          forget((step) => step <= effect.step);
          prepared?.payloads.turn();
          fetchAhead(effect.weightsHash);
          return;
        case 'forget-others':
          forget((step) => step !== effect.step);
          return;
        case 'shorten':
          running?.node.shorten(effect.end);
          return;
        case 'stop-work':
          working.abort(new Error(effect.reason));
          return;
        case 'reconnect':
          void reconnect(effect);
          return;
        case 'send-leave':
          orderly = effect.draining;
          send({ leave: { reason: effect.reason, draining: effect.draining } });
          return;
        case 'end':
          say(effect.message, effect.failure === null ? 'info' : 'warn');
          end(effect.failure ? new Failure(effect.failure.code, effect.failure.message) : null);
          return;
        default:
          unreachable(effect);
      }
    }

    const sendHeartbeat = () => {
      const lease = running === null ? { attempt: 0, done: 0 } : running;
      const attempt = 'task' in lease ? lease.task.attempt : 0;
      send({ heartbeat: { state: state.phase, attempt, done: lease.done } });
    };

    function forget(over: (step: number) => boolean): void {
      for (const [key, { step, payload }] of held) {
        if (!over(step)) continue;
        held.delete(key);
        prepared?.payloads.rest(payload);
      }
    }

    const heldReports = () =>
      [...held.values()].map(({ step, level, index, weightsHash, leaves }) => ({
        ...{ step, level, index, weightsHash, leaves },
      }));

    async function reconnect(
      effect: Extract<ConversationEffect, { kind: 'reconnect' }>,
    ): Promise<void> {
      const { failures, reason, turnedAway = false } = effect;
      hangUp();
      working.abort(new Error(reason));
      if (turnedAway && failures > turnedAwayMax) {
        end(new Failure('other-identity', reason));
        return;
      }
      if (failures > reconnectsMax) {
        const text = `no coordinator answers at ${options.coordinator}: ${reason}`;
        end(new Failure('coordinator-unreachable', text));
        return;
      }
      if (failures === 1 || failures % 10 === 0) say(`away from the coordinator: ${reason}`);
      const quick = Math.min(backoffMsMax, 100 * 2 ** Math.min(failures, 10));
      const ceiling = turnedAway ? turnedAwayMs : quick;
      await sleep(ceiling * (0.5 + Math.random() / 2), undefined, { ref: true });
      if (state.phase === 'away') connect();
    }

    /** Runs after whatever computes now; failures become events. */
    function queueJob(task: Task | null, run: (signal: AbortSignal) => Promise<void>): void {
      const controller = new AbortController();
      working = controller;
      job = job.then(async () => {
        const stopped = () => {
          // Nothing of it is finished; a draining worker says so.
          if (task?.kind === 'lease') dispatch({ kind: 'nodes-finished', task, nodes: [] });
        };
        if (controller.signal.aborted) return stopped();
        try {
          await run(controller.signal);
        } catch (error) {
          if (controller.signal.aborted) return stopped();
          if (task === null && asFailure(error).code === 'coordinator-unreachable') {
            hangUp();
            dispatch({ kind: 'disconnected', reason: asFailure(error).message });
            return;
          }
          if (task === null || asFailure(error).code === 'backend-missing') {
            end(asFailure(error));
            return;
          }
          const sample = error instanceof SampleFailure ? error.sample : null;
          const { code, message } = error instanceof SampleFailure ? error : asFailure(error);
          dispatch({ kind: 'task-failed', task, code, message, sample });
          // A compute that failed may fail for ever (a dead thread, a GPU's error): another process starts anew.
          if (code === 'compute-failed' && sample === null) end(asFailure(error));
        }
      });
    }

    function prove(welcome: Welcome): void {
      queueJob(null, async () => {
        const method = JSON.parse(welcome.method) as Method;
        const known = prepared?.run === welcome.fingerprint + welcome.method ? prepared : null;
        if (known === null) {
          held.clear();
          const old = prepared;
          prepared = null;
          await old?.compute.close();
          prepared = await prepareRun(options, welcome, method, () => transport);
        }
        if (prepared) dispatch({ kind: 'proved', stages: prepared.canary.stages });
      });
    }

    /** `statistics`: their hash, where they matter too; training uses those of the micro-batch. */
    async function ensureWeights(run: Prepared, hash: string, statistics = ''): Promise<void> {
      const same = statistics === '' || run.loaded.statistics === statistics;
      if (run.loaded.weights === hash && same) return;
      let sent = await arrivedAhead();
      if (sent?.weights !== hash) {
        if (transport === null)
          throw new Failure('coordinator-unreachable', 'the coordinator is away');
        sent = await transport.pullWeights(state.generation, hash, freeMemory(run));
      }
      if (statistics !== '' && sent.statistics !== statistics)
        throw new Failure('bad-message', 'the running statistics are not those announced');
      const { held, free } = run.memories;
      run.memories = { held: free, free: held };
      run.loaded = { weights: '', statistics: '' };
      await run.compute.load(free);
      run.loaded = sent;
    }

    /** The weights that this step makes travel while they are made. */
    function followWeights(generation: number, step: number): void {
      if (transport === null || prepared === null) return;
      if (ahead === null) ahead = transport.followWeights(generation, step, freeMemory(prepared));
      else if (ahead.step !== step) ahead.cancel();
    }

    /** What came while it was made, or null; nothing is written any more then. */
    async function arrivedAhead(): Promise<SentHashes | null> {
      const coming = ahead;
      if (coming === null) return null;
      const impatient = setTimeout(() => coming.cancel(), aheadMs);
      const hashes = await coming.hashes;
      clearTimeout(impatient);
      if (ahead === coming) ahead = null;
      return hashes;
    }

    /**
     * What the compute is to have next is loaded while its leases are still to come. Of several that
     * were announced during a long micro-batch the newest alone is.
     */
    function fetchAhead(hash: string): void {
      const run = prepared;
      if (run === null) return;
      announced = hash;
      job = job
        .then(() => (announced === hash ? ensureWeights(run, hash) : undefined))
        .catch(() => undefined);
    }

    function work(task: Task): void {
      queueJob(task, async (aborted) => {
        const run = prepared;
        if (run === null) throw new Error('a task before the run is known');
        await ensureWeights(
          run,
          task.weightsHash,
          task.kind === 'survey' ? task.statisticsHash : '',
        );
        aborted.throwIfAborted();
        const { method, samples, compute, payloads } = run;
        const imageOf = run.images.images(task.gray);
        if (task.kind === 'lease') {
          const node = runNode(
            {
              ...{ method, samples, compute, imageOf, payloads, signal: aborted },
              onLeaf: (done) => {
                if (running !== null) running.done = done;
                sendHeartbeat();
              },
            },
            task,
          );
          running = { task, node, done: 0 };
          try {
            const nodes = await node.nodes;
            const { step, weightsHash } = task;
            for (const done of nodes)
              held.set(nodeKey({ ...done, step }), { ...done, step, weightsHash });
            dispatch({ kind: 'nodes-finished', task, nodes });
          } finally {
            running = null;
            await node.idle;
          }
          return;
        }
        aborted.throwIfAborted();
        const first = task.chunk * task.chunkSize;
        const { pixels, view } = await prepareSurvey(
          method,
          samples,
          first,
          task.chunkSize,
          imageOf,
        );
        const features =
          task.work === 'moments'
            ? await compute.moments(pixels, view)
            : await compute.features(pixels, view);
        dispatch({ kind: 'features-finished', task, features: bytesOf(features) });
      });
    }

    let patience: NodeJS.Timeout | undefined;
    /** Whoever asks: within its grace it is gone, also where nobody is there to end the step. */
    const leave = (reason: string) => {
      patience ??= setTimeout(
        () => dispatch({ kind: 'stop-requested', reason, urgent: true }),
        options.graceMs,
      );
      dispatch({ kind: 'stop-requested', reason, urgent: options.graceMs === 0 });
    };
    const stop = () => leave(asFailure(signal.reason).message);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    else connect();
  });
}

/** Where weights may be put while the compute uses others. */
const freeMemory = ({ layout, memories }: Prepared): WeightsTarget => ({
  layout,
  memory: memories.free,
});

async function prepareRun(
  options: SessionOptions,
  welcome: Welcome,
  method: Method,
  transport: () => Transport | null,
): Promise<Prepared> {
  const connection = transport();
  if (connection === null) throw new Failure('coordinator-unreachable', 'the coordinator is away');
  const samples = await connection.listSamples();
  if (samples.length !== welcome.samples)
    throw new Failure('bad-message', 'the sample list is not as long as was announced');
  const compute = await options.compute(method);
  const net = architecture(method.model, method.classes?.length);
  const layout = weightLayout(net, method.precision);
  const memories = { held: weightMemory(layout), free: weightMemory(layout) };
  const canary = await runCanary(method, net, compute, memories.held);
  return {
    run: welcome.fingerprint + welcome.method,
    method,
    compute,
    samples,
    images: imageSource(method.canvas, options.dataset, (sha256, bytesMax) => {
      const now = transport();
      if (now === null) throw new Failure('coordinator-unreachable', 'the coordinator is away');
      return now.fetchSample(sha256, bytesMax);
    }),
    payloads: payloadPool(payloadElements(net)),
    canary,
    layout,
    memories,
    loaded: { weights: '', statistics: '' },
  };
}
