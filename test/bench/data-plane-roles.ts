/**
 * The processes of the data plane benchmark: a coordinator's side, a worker's side, and the proxy.
 * Each obeys commands from its parent, one at a time, and answers with what it measured.
 *
 * The transfers run through production code: `trainingService` and `WorkerLink` here,
 * `openTransport` there. Only joining is short: the worker says its name and is given a link.
 */
import { createHash } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import type { RunContext } from '../../coordinator/shell/run-context.ts';
import { arithmetic } from '../../coordinator/shell/arithmetic.ts';
import { inThread } from '../../coordinator/shell/arithmetic-thread.ts';
import { earlyWeights } from '../../coordinator/shell/early-weights.ts';
import { type NodeSource, reduceStep } from '../../coordinator/shell/reducer.ts';
import { modelState, emptyCopy } from '../../coordinator/shell/model-state.ts';
import { stepMeter } from '../../coordinator/shell/step-meter.ts';
import { trainingService } from '../../coordinator/shell/training-service.ts';
import { type ControlStream, WorkerLink } from '../../coordinator/shell/worker-link.ts';
import { dial } from '../../shared/adapters/dial.ts';
import { TrainingService, tunedServer } from '../../shared/adapters/grpc.ts';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { weightLayout } from '../../shared/core/weight-layout.ts';
import { weightMemory } from '../../shared/core/weight-memory.ts';
import { bucketCredit, bucketElements } from '../../shared/wire/limits.ts';
import type { ConverseRequest } from '../../shared/wire/messages.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { openTransport, type Transport } from '../../worker/shell/transport.ts';
import { delayingProxy } from './delaying-proxy.ts';

/** Elements of the node that travels: 74,072,320 bytes. */
export const elements = 18_518_080;

export type Command =
  | { kind: 'listen' }
  | { kind: 'forward'; port: number; delayMs: number }
  | { kind: 'open'; link: string; port: number }
  | { kind: 'open-raw'; link: string; port: number }
  | { kind: 'raw'; link: string }
  | { kind: 'ping'; link: string }
  | { kind: 'upload'; link: string }
  | { kind: 'reduce'; links: string[] }
  | { kind: 'download'; link: string };

export interface Ports {
  tuned: number;
  untuned: number;
  raw: number;
  weightsHash: string;
}

/** Answers the parent's commands with `obey`, in order. */
function serve(obey: (command: Command) => Promise<unknown>): void {
  let last: Promise<unknown> = Promise.resolve();
  process.on('message', (command: Command) => {
    last = last.then(() => obey(command)).then((answer) => process.send?.({ answer }));
    last.catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
  process.on('disconnect', () => process.exit(0));
}

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

const unexpected = (command: Command): never => {
  throw new Error(`this process has no command ${command.kind}`);
};

/** One architecture of one tensor, as long as the benchmark needs. */
const flat: Architecture = {
  featureWidth: 512,
  outputWidth: 2048,
  parameters: [],
  parameterCount: elements,
  statistics: [],
  statisticCount: 0,
};

function payload(): Float32Array {
  const values = new Float32Array(elements);
  for (let i = 0; i < elements; i += 1) values[i] = ((i * 2654435761) % 1000) / 1e6;
  return values;
}

/** All buckets of one node, with the reducer's credit; each is checked and dropped. */
async function upload(link: WorkerLink): Promise<void> {
  const count = Math.ceil(elements / bucketElements);
  const ahead: Promise<Uint8Array>[] = [];
  let asked = 0;
  let bytes = 0;
  for (let bucket = 0; bucket < count; bucket += 1) {
    for (; asked < count && ahead.length < bucketCredit; asked += 1) {
      const size = Math.min(bucketElements, elements - asked * bucketElements);
      ahead.push(link.pull(1, { level: 0, index: 0 }, asked, size));
    }
    bytes += (await ahead.shift())?.length ?? 0;
  }
  if (bytes !== 4 * elements) throw new Error(`expected ${4 * elements} bytes, found ${bytes}`);
}

/** Sends one byte and resolves once `bytes` have come back. */
function ask(socket: Socket, question: string, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let received = 0;
    const take = (chunk: Buffer) => {
      received += chunk.length;
      if (received < bytes) return;
      socket.off('data', take);
      resolve();
    };
    socket.on('data', take);
    socket.write(question);
  });
}

function coordinatorRole(): void {
  const links = new Map<string, WorkerLink>();
  const sockets = new Map<string, Socket>();
  const copy = emptyCopy(flat);
  copy.weights.set(payload());
  const model = modelState(flat, copy, 0);
  const early = earlyWeights();
  const numbers = arithmetic(model, early, inThread);
  const rates = { base: 0.05, predictor: 0.05 };
  const factors = { rates, momentumFactor: 0.9, weightDecay: 1e-4 };
  const parts = { links, plan: { generation: 1 }, model, early, meter: stepMeter() };
  const context = parts as unknown as RunContext;
  const service = {
    ...trainingService(context, () => {
      throw new Error('the benchmark has no run loop');
    }),
    converse: (call: ControlStream) =>
      call.on('data', ({ join }: ConverseRequest) => {
        if (join === undefined) return;
        const link = new WorkerLink(join.worker, call);
        links.set(join.worker, link);
        link.send({ admitted: { identity: '' } });
      }),
  };
  const listen = (server: grpc.Server): Promise<number> => {
    server.addService(TrainingService.service, service as grpc.UntypedServiceImplementation);
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  };
  const rawServer = createServer((socket) => {
    socket.setNoDelay(true);
    socket.once('data', (name) => sockets.set(String(name), socket));
  });
  const found = <T>(map: Map<string, T>, name: string): T => {
    const value = map.get(name);
    if (value === undefined) throw new Error(`there is no link ${name}`);
    return value;
  };
  const reduce = (names: string[]) => {
    const sources = names.map((worker, index): NodeSource => {
      const link = found(links, worker);
      const node = { level: 0, index };
      return { node, worker, pull: (bucket, size) => link.pull(1, node, bucket, size) };
    });
    numbers.begin(1, { leaves: names.length, ...factors });
    return timed(() =>
      reduceStep({
        model,
        arithmetic: numbers,
        leaves: names.length,
        sources,
        progress: { step: 1, bucket: 0 },
        signal: new AbortController().signal,
      }),
    );
  };
  serve(async (command) => {
    if (command.kind === 'listen') {
      const [tuned, untuned] = await Promise.all([
        listen(tunedServer()),
        listen(new grpc.Server()),
      ]);
      await new Promise<void>((resolve) => rawServer.listen(0, '127.0.0.1', resolve));
      const raw = (rawServer.address() as AddressInfo).port;
      return { tuned, untuned, raw, weightsHash: model.hashes.weights } satisfies Ports;
    }
    if (command.kind === 'raw')
      return timed(() => ask(found(sockets, command.link), 'all', 4 * elements));
    if (command.kind === 'ping') return timed(() => ask(found(sockets, command.link), 'one', 1));
    if (command.kind === 'upload') return timed(() => upload(found(links, command.link)));
    if (command.kind === 'reduce') return reduce(command.links);
    return unexpected(command);
  });
}

/** Joins by name and serves its node; resolves once the gradient stream can be asked. */
async function openLink(name: string, port: number, node: Float32Array): Promise<Transport> {
  const transport = openTransport(dial(`127.0.0.1:${port}`));
  const control = transport.converse();
  control.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    control.once('data', () => resolve());
    control.write({ join: { worker: name } as ConverseRequest['join'] & object });
  });
  transport.serveGradients({ worker: name, generation: 1, session: '' }, () => node);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return transport;
}

/** Answers every question with the node's bytes, or with one of them. */
function openRaw(name: string, port: number, node: Float32Array): Promise<void> {
  const bytes = bytesOf(node);
  const chunk = 4 * bucketElements;
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  const sendFrom = (start: number): void => {
    for (let at = start; at < bytes.length; at += chunk) {
      if (socket.write(bytes.subarray(at, at + chunk))) continue;
      socket.once('drain', () => sendFrom(at + chunk));
      return;
    }
  };
  socket.on('data', (question) => {
    if (String(question) === 'one') socket.write('.');
    else sendFrom(0);
  });
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.write(name);
      setTimeout(resolve, 100);
    });
  });
}

function workerRole(): void {
  const node = payload();
  const layout = weightLayout(flat, 'f32');
  const into = { layout, memory: weightMemory(layout) };
  const weightsHash = createHash('sha256').update(bytesOf(node)).digest('hex');
  const transports = new Map<string, Transport>();
  serve(async (command) => {
    if (command.kind === 'open') {
      transports.set(command.link, await openLink(command.link, command.port, node));
      return true;
    }
    if (command.kind === 'open-raw') return openRaw(command.link, command.port, node);
    if (command.kind === 'download')
      return timed(async () => transports.get(command.link)?.pullWeights(1, weightsHash, into));
    return unexpected(command);
  });
}

function proxyRole(): void {
  serve((command) =>
    command.kind === 'forward'
      ? delayingProxy(command.port, command.delayMs)
      : Promise.resolve(unexpected(command)),
  );
}

const roles: Record<string, () => void> = {
  coordinator: coordinatorRole,
  worker: workerRole,
  proxy: proxyRole,
};
roles[process.argv[2] ?? '']?.();
