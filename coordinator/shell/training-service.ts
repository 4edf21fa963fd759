/**
 * TrainingService: turns messages into events of the core and hands out bytes. No decision here.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import { writeTo } from '../../shared/adapters/grpc.ts';
import { turnstile } from '../../shared/adapters/lanes.ts';
import { keepsBytes, maySayNothing } from '../../shared/adapters/stream-limits.ts';
import { type FailureCode, failures } from '../../shared/core/failures.ts';
import {
  chunkBytes,
  eventBacklogMax,
  sampleBytesMax,
  silenceMs,
  workersMax,
} from '../../shared/wire/limits.ts';
import type {
  BucketMessage,
  BucketWish,
  ConverseRequest,
  ConverseResponse,
  FeaturesReadyMessage,
  JoinMessage,
  NodeReadyMessage,
  ReadyMessage,
  WeightsChunk,
} from '../../shared/wire/messages.ts';
import { bytesOf, copyFloats } from '../../shared/wire/tensors.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { samplesToJsonl } from '../../shared/wire/samples.ts';
import type { Served } from './run-context.ts';
import { surveyPart } from './survey-features.ts';
import type { RunLoop as WholeLoop } from './run-loop.ts';
import { WorkerLink } from './worker-link.ts';

type RunLoop = Pick<WholeLoop, 'dispatch' | 'state' | 'backlog' | 'calm'>;

/** A stream that has not said who it is by then is closed, milliseconds. */
const introductionMs = 10_000;
/** Longest text that a peer may put into one field. */
const textMax = 4096;
/** Images that are read from the disk at once. */
const reading = turnstile(4);
/** Stages that a canary may have. */
const stagesMax = 16;

const refusal = (code: FailureCode, message: string): grpc.ServiceError =>
  Object.assign(new Error(message), {
    code: grpc.status[failures[code].status],
    details: message,
    metadata: new grpc.Metadata(),
  });

export function trainingService(
  context: Served,
  loop: () => RunLoop,
): grpc.UntypedServiceImplementation {
  return {
    converse: (call: grpc.ServerDuplexStream<ConverseRequest, ConverseResponse>) =>
      converse(context, loop(), call),
    pushGradients: (call: grpc.ServerDuplexStream<BucketMessage, BucketWish>) =>
      pushGradients(context, call),
    pullWeights: (call: grpc.ServerWritableStream<PullWeightsRequest, WeightsChunk>) => {
      const { weightsHash, step } = call.request;
      const early = weightsHash === '';
      void stream(
        call,
        early ? followWeights(context, step, call) : pullWeights(context, weightsHash),
      );
    },
    listSamples: (call: grpc.ServerWritableStream<unknown, { lines: string }>) =>
      void stream(call, listSamples(context)),
    fetchSample: (call: grpc.ServerWritableStream<{ sha256: string }, { data: Uint8Array }>) =>
      void stream(call, fetchSample(context, call)),
  };
}

/** Writes what a generator yields, honouring backpressure; its error becomes the call's status. */
async function stream<T>(
  call: grpc.ServerWritableStream<unknown, T>,
  messages: AsyncGenerator<T>,
): Promise<void> {
  try {
    for await (const message of messages) {
      if (call.cancelled || call.destroyed) return;
      await writeTo(call, message);
    }
    call.end();
  } catch (error) {
    if (!call.destroyed) call.emit('error', error);
  }
}

function joinFault(join: JoinMessage): string | null {
  if (!/^[\w.:-]{1,128}$/.test(join.worker))
    return `a worker's id has 1 to 128 letters, digits, ".", ":", "_" or "-"; found ${JSON.stringify(join.worker.slice(0, 64))}`;
  if (join.worker in {}) return `a worker cannot be called ${join.worker}`;
  if (join.identity !== '' && !isHash(join.identity)) return 'its identity is no hash';
  if (join.host.length > textMax || join.description.length > textMax)
    return 'its host or description is longer than 4,096 characters';
  return null;
}

/** Is this what the worker of this link was welcomed with? In constant time. */
function isSession(link: WorkerLink, told: string): boolean {
  const [mine, theirs] = [Buffer.from(link.session), Buffer.from(told)];
  return mine.length === theirs.length && timingSafeEqual(mine, theirs);
}

/** Sends workers away whose token was revoked or has expired since they joined. */
export function turnAwayRevoked(context: Served, loop: RunLoop): void {
  for (const link of [...context.links.values()]) {
    const reason = context.door.fault(link.caller);
    if (reason !== null) turnAway(context, loop, link, 'unauthenticated', reason);
  }
}

/** Ends a worker's part with a word to it. */
function turnAway(
  context: Served,
  loop: RunLoop,
  link: WorkerLink,
  code: FailureCode,
  reason: string,
): void {
  if (context.links.get(link.id) !== link) return;
  link.send({ refused: { code, message: reason, remedy: failures[code].remedy } });
  context.links.delete(link.id);
  link.close(reason);
  loop.dispatch({ kind: 'worker-lost', worker: link.id, reason });
}

function converse(
  context: Served,
  loop: RunLoop,
  call: grpc.ServerDuplexStream<ConverseRequest, ConverseResponse>,
): void {
  let link: WorkerLink | null = null;
  const patience = setTimeout(() => {
    call.emit('error', refusal('silent', 'a control stream begins with a join message'));
  }, introductionMs);
  patience.unref();

  const left = (reason: string) => {
    clearTimeout(patience);
    if (link === null || context.links.get(link.id) !== link) return;
    context.links.delete(link.id);
    link.close(reason);
    loop.dispatch({ kind: 'worker-lost', worker: link.id, reason });
  };
  const join = (message: JoinMessage) => {
    clearTimeout(patience);
    const fault = joinFault(message);
    if (fault !== null) {
      call.emit('error', refusal('bad-message', fault));
      return;
    }
    if (context.links.size >= workersMax) {
      call.emit('error', refusal('full', `this coordinator serves at most ${workersMax} workers`));
      return;
    }
    const caller = context.door.callerOf(call);
    const { name } = caller.identity;
    if (name !== null && name !== message.worker) {
      const text = `this peer may join as ${name} and not as ${message.worker}: see --name`;
      call.emit('error', refusal('forbidden', text));
      return;
    }
    const before = context.links.get(message.worker);
    // Whoever knows a worker's name, or has recorded its join, must not take its place.
    if (before !== undefined && !isSession(before, message.session)) {
      const text =
        `a worker called ${message.worker} takes part already: it is replaced by itself only, or ` +
        `once it was not heard for ${silenceMs / 1000} s. Choose another --name`;
      call.emit('error', refusal('name-taken', text));
      return;
    }
    before?.close('the same worker joined again');
    link = new WorkerLink(message.worker, call, randomBytes(16).toString('hex'), caller);
    const joined = link;
    joined.onHostile = (reason) => turnAway(context, loop, joined, 'bad-gradient', reason);
    context.links.set(message.worker, joined);
    maySayNothing(call);
    const { worker, pid, host, protoVersion, protoOldest, description, identity } = message;
    loop.dispatch({
      kind: 'worker-connected',
      worker,
      pid,
      host,
      protoVersion,
      protoOldest,
      description,
      identity,
    });
  };

  call.on('data', (message: ConverseRequest) => {
    if (message.join) {
      if (link === null) join(message.join);
      return;
    }
    if (link === null) {
      call.emit('error', refusal('bad-message', 'a control stream begins with a join message'));
      return;
    }
    if (context.links.get(link.id) === link) take(context, loop, link.id, message);
    if (loop.backlog < eventBacklogMax) return;
    // Whoever says more than the core can hear is read no faster than that.
    call.pause();
    void loop.calm().then(() => call.resume());
  });
  call.on('end', () => {
    left('it ended its control stream');
    call.end();
  });
  call.on('error', () => left('its control stream broke'));
  call.on('cancelled', () => left('its connection is gone'));
}

/** One message of a worker that has joined. */
function take(context: Served, loop: RunLoop, worker: string, message: ConverseRequest): void {
  if (message.heartbeat) {
    const { attempt, done } = message.heartbeat;
    loop.dispatch({ kind: 'heartbeat', worker, attempt, done });
  } else if (message.ready) takeReady(context, loop, worker, message.ready);
  else if (message.nodeReady) takeNode(loop, worker, message.nodeReady);
  else if (message.leaseFailed) {
    const { generation, step, code, message: text, samplePlusOne } = message.leaseFailed;
    const known = code in failures ? (code as FailureCode) : 'internal';
    const sample = samplePlusOne > 0 ? samplePlusOne - 1 : null;
    const short = text.slice(0, textMax);
    loop.dispatch({
      kind: 'lease-failed',
      worker,
      generation,
      step,
      code: known,
      message: short,
      sample,
    });
  } else if (message.featuresReady) takeFeatures(context, loop, worker, message.featuresReady);
  else if (message.leave) {
    const reason = message.leave.reason.slice(0, textMax);
    if (message.leave.draining) loop.dispatch({ kind: 'worker-draining', worker, reason });
    else loop.dispatch({ kind: 'worker-lost', worker, reason: `it left: ${reason}` });
  }
}

const isHash = (text: string) => /^[0-9a-f]{64}$/.test(text);

function takeReady(context: Served, loop: RunLoop, worker: string, ready: ReadyMessage): void {
  const stages = ready.stages.map(({ name, sha256 }) => ({ name, sha256 }));
  const plausible =
    stages.length <= stagesMax &&
    stages.every(({ name, sha256 }) => name.length <= 64 && isHash(sha256)) &&
    ready.description.length <= textMax &&
    (ready.graph === '' || isHash(ready.graph));
  if (!plausible) {
    loop.dispatch({ kind: 'worker-lost', worker, reason: 'its canary is no list of hashes' });
    return;
  }
  const { model, plan } = context;
  const held = ready.held
    .slice(0, plan.leaves)
    .filter((node) => node.step === model.step && node.weightsHash === model.sent.hash)
    .filter(({ leaves }) => leaves.every((r) => isHash(r.inputHash) && isHash(r.leafHash)))
    .map(({ level, index, leaves }) => ({ node: { level, index }, leaves }));
  const { description, graph } = ready;
  loop.dispatch({ kind: 'worker-ready', worker, stages, description, held, graph });
}

function takeNode(loop: RunLoop, worker: string, message: NodeReadyMessage): void {
  const { generation, step, level, index, leaves, attempt } = message;
  if (!leaves.every((report) => isHash(report.inputHash) && isHash(report.leafHash))) {
    loop.dispatch({ kind: 'worker-lost', worker, reason: 'its results carry no hashes' });
    return;
  }
  loop.dispatch({
    kind: 'node-ready',
    worker,
    generation,
    step,
    node: { level, index },
    leaves,
    attempt,
  });
}

function takeFeatures(
  context: Served,
  loop: RunLoop,
  worker: string,
  message: FeaturesReadyMessage,
): void {
  const { generation, step, chunk, features } = message;
  const { survey, workers } = loop.state;
  // It holds no chunk: this one was given to another, and its survey may be over.
  if (survey === null || !workers[worker]?.survey) return;
  const { work } = survey;
  const { offset, length } = surveyPart(context, work, chunk);
  const asked = message.work === work && step === loop.state.step && chunk < survey.chunks.length;
  const whole = asked && length > 0 && features.length === 4 * length;
  if (!whole || crc32(features) !== message.crc32) {
    const reason = 'the features that it sent are not what was asked for';
    loop.dispatch({ kind: 'worker-lost', worker, reason });
    return;
  }
  if (context.survey !== null) copyFloats(features, context.survey, offset);
  loop.dispatch({ kind: 'features-ready', worker, generation, step, work, chunk });
}

function pushGradients(
  context: Served,
  call: grpc.ServerDuplexStream<BucketMessage, BucketWish>,
): void {
  const worker = String(call.metadata.get('worker')[0] ?? '');
  const generation = Number(call.metadata.get('generation')[0]);
  const session = String(call.metadata.get('session')[0] ?? '');
  const link = context.links.get(worker);
  const known = link !== undefined && isSession(link, session);
  if (!known || generation !== context.plan.generation) {
    call.emit('error', refusal('stale-generation', 'join first, then open the gradient stream'));
    return;
  }
  maySayNothing(call);
  link.attachGradients(call);
}

interface PullWeightsRequest {
  generation: number;
  weightsHash: string;
  step: number;
}

const stale = () => refusal('stale-generation', 'these weights are not current any more');

async function* pullWeights(context: Served, weightsHash: string): AsyncGenerator<WeightsChunk> {
  const { model } = context;
  if (weightsHash !== model.sent.hash) throw stale();
  const parts = [model.sent.current, bytesOf(model.current.statistics)];
  const weightBytes = model.sent.current.length;
  let offset = 0;
  context.meter.pulling(1);
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length; at += chunkBytes) {
        const data = part.subarray(at, at + chunkBytes);
        if (model.sent.hash !== weightsHash) throw stale();
        yield { offset, data, crc32: offset < weightBytes ? 0 : crc32(data) };
        offset += data.length;
      }
    }
  } finally {
    context.meter.pulling(-1);
    context.meter.bytes('weights-out', offset);
  }
}

/** What the open step makes, piece by piece while it is made. */
async function* followWeights(
  { early, meter, model }: Served,
  step: number,
  call: grpc.ServerWritableStream<PullWeightsRequest, WeightsChunk>,
): AsyncGenerator<WeightsChunk> {
  if (step !== model.step && step !== model.step - 1) throw stale();
  const gone = new AbortController();
  for (const end of ['cancelled', 'close', 'error']) call.on(end, () => gone.abort());
  const weightBytes = model.sent.current.length;
  const whole = weightBytes + model.current.statistics.byteLength;
  for (let offset = 0; offset < whole; ) {
    const data = await early.next(step, offset, gone.signal);
    if (data === null) throw stale();
    yield { offset, data, crc32: offset < weightBytes ? 0 : crc32(data) };
    offset += data.length;
    meter.bytes('weights-out', data.length);
  }
}

async function* listSamples(context: Served): AsyncGenerator<{ lines: string }> {
  const { samples } = context;
  for (let at = 0; at < samples.length; at += 1000)
    yield { lines: samplesToJsonl(samples.slice(at, at + 1000)) };
}

async function* fetchSample(
  context: Served,
  call: grpc.ServerWritableStream<{ sha256: string }, unknown>,
): AsyncGenerator<{ data: Uint8Array }> {
  const { sha256 } = call.request;
  context.byHash ??= new Map(context.samples.map((sample) => [sample.sha256, sample]));
  const sample = context.byHash.get(sha256);
  // The whole image is in memory until its last chunk is written.
  const read = (known: Sample) => {
    keepsBytes(call, known.bytes);
    return context.dataset.read(known);
  };
  const bytes =
    sample === undefined ? null : await reading(async () => (call.cancelled ? null : read(sample)));
  if (bytes === null)
    throw refusal(
      'sample-unavailable',
      `the coordinator has no image with hash ${sha256.slice(0, 64)}`,
    );
  if (bytes.length > sampleBytesMax)
    throw refusal('sample-unavailable', 'this image is too large to travel');
  context.meter.bytes('samples-out', bytes.length);
  for (let at = 0; at < bytes.length; at += chunkBytes)
    yield { data: bytes.subarray(at, at + chunkBytes) };
}
