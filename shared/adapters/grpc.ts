/**
 * gRPC as Tandem uses it: services from proto/tandem/v1, and the options both ends need.
 *
 * grpc-js's server ignores `grpc-node.flow_control_window`, which holds every upload to 64 KiB a
 * round trip; `tunedServer` opens the windows of each HTTP/2 session itself. A proxy in the
 * environment is ignored: workers talk to their coordinator and to nobody else.
 */
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { endianness } from 'node:os';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import * as protoLoader from '@grpc/proto-loader';
import {
  bucketParts,
  lengthOf,
  type MessageParts,
  weightsParts,
  writeParts,
} from '../wire/hot-messages.ts';
import { headerBytesMax, headerPairsMax, messageBytesMax, windowBytes } from '../wire/limits.ts';
import type { BucketMessage, WeightsChunk } from '../wire/messages.ts';
import type { ConnectionGuard } from './connection-limits.ts';
import { limitStreams } from './stream-limits.ts';

if (endianness() !== 'LE') throw new Error('Tandem needs a little-endian machine');

/** The folder `proto`, from the source tree or from `dist`. */
const protoRoot = (): string => {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const up = here.includes('/dist/') ? '../../../proto' : '../../proto';
  return fileURLToPath(new URL(up, import.meta.url));
};

export const packageDefinition: protoLoader.PackageDefinition = protoLoader.loadSync(
  ['tandem/v1/training.proto', 'tandem/v1/run.proto'],
  { includeDirs: [protoRoot()], longs: Number, enums: String, defaults: true, oneofs: true },
);

/**
 * What grpc-js copies into its frame: it asks a serialized message for its length and to copy
 * itself, and for nothing else. The parts of a hot message do that without being joined first.
 */
export function framed(parts: MessageParts): Buffer {
  const length = lengthOf(parts);
  const copy = (target: Uint8Array, at: number) => writeParts(parts, target, at);
  return { length, byteLength: length, copy } as unknown as Buffer;
}

const hot = packageDefinition['tandem.v1.TrainingService'] as grpc.ServiceDefinition;
Object.assign(hot['PushGradients'] ?? {}, {
  requestSerialize: (message: BucketMessage) => framed(bucketParts(message)),
});
Object.assign(hot['PullWeights'] ?? {}, {
  responseSerialize: (message: WeightsChunk) => framed(weightsParts(message)),
});

interface Loaded {
  tandem: {
    v1: {
      TrainingService: grpc.ServiceClientConstructor;
      RunService: grpc.ServiceClientConstructor;
    };
  };
}

const { tandem } = grpc.loadPackageDefinition(packageDefinition) as unknown as Loaded;
export const TrainingService: grpc.ServiceClientConstructor = tandem.v1.TrainingService;
export const RunService: grpc.ServiceClientConstructor = tandem.v1.RunService;

export const channelOptions: grpc.ChannelOptions = {
  'grpc.enable_http_proxy': 0,
  // A retry would keep every message until it is acknowledged; a lost call is the session's matter.
  'grpc.enable_retries': 0,
  'grpc.max_receive_message_length': messageBytesMax,
  'grpc.max_send_message_length': messageBytesMax,
  'grpc-node.flow_control_window': windowBytes,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // Each client has its own connection: closing one never touches another's.
  'grpc.use_local_subchannel_pool': 1,
};

const serverOptions: grpc.ServerOptions = {
  'grpc.max_receive_message_length': messageBytesMax,
  'grpc.max_send_message_length': messageBytesMax,
  'grpc.max_concurrent_streams': 64,
};

/**
 * Node's arguments for a coordinator or a worker: V8 collects at once instead of in steps. Every
 * network buffer counts against it, and past 64 MB each further one forces a step of 5 to 10 ms,
 * two or three times a node; a whole collection of our small heaps takes 3 ms. Only at the start of
 * a process: changed later, with a thread running, it crashes Node 22.
 */
export const collectAtOnce: readonly string[] = ['--no-incremental-marking'];

/** What stands between a server and its peers. */
export interface ServerGuard {
  /** Permits each call, or not, before its first message is read. */
  interceptor: grpc.ServerInterceptor;
  connections: ConnectionGuard;
}

/**
 * A server whose HTTP/2 sessions have windows wide enough for a link with delay; with a guard, only
 * those of peers that are known. `forceShutdown` ends every connection at once: grpc-js waits for the
 * peer to close its side, which a stopped process or one behind a cut link never does, and until then
 * this process could not end.
 */
export function tunedServer(guard: ServerGuard | null = null): grpc.Server {
  const server = new grpc.Server({
    ...serverOptions,
    ...(guard === null ? {} : { interceptors: [guard.interceptor] }),
  });
  const sockets = new Set<Socket>();
  const force = server.forceShutdown.bind(server);
  server.forceShutdown = () => {
    force();
    for (const socket of sockets) socket.destroy();
  };
  // The method is private to grpc-js, and the only place where its HTTP/2 server can be met.
  const inner = server as unknown as {
    commonServerOptions: { settings?: object; maxHeaderListPairs?: number };
    createHttp2Server(credentials: grpc.ServerCredentials): Http2Server;
  };
  if (typeof inner.createHttp2Server !== 'function')
    throw new Error('this release of @grpc/grpc-js hides its HTTP/2 server; see ADR 4');
  inner.commonServerOptions.settings = {
    ...inner.commonServerOptions.settings,
    maxHeaderListSize: headerBytesMax,
    ...(guard === null ? { initialWindowSize: windowBytes } : {}),
  };
  inner.commonServerOptions.maxHeaderListPairs = headerPairsMax;
  const create = inner.createHttp2Server.bind(server);
  inner.createHttp2Server = (credentials) => {
    const http2Server = create(credentials);
    limitStreams(http2Server);
    http2Server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    guard?.connections.attach(http2Server);
    if (guard !== null) return http2Server;
    http2Server.on('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(windowBytes);
    });
    return http2Server;
  };
  return server;
}

/** Resolves once a stream takes more; rejects when it has ended. Honours backpressure. */
export function writeTo<T>(
  stream: {
    write(message: T): boolean;
    once(event: 'drain' | 'close' | 'error', listener: (e?: Error) => void): unknown;
    off(event: 'drain' | 'close' | 'error', listener: (e?: Error) => void): unknown;
    destroyed: boolean;
    writable: boolean;
  },
  message: T,
): Promise<void> {
  if (stream.destroyed || !stream.writable)
    return Promise.reject(new Error('the stream is closed'));
  if (stream.write(message)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      stream.off('drain', drained);
      stream.off('close', closed);
      stream.off('error', closed);
      if (error) reject(error);
      else resolve();
    };
    const drained = () => settle();
    const closed = (error?: Error) => settle(error ?? new Error('the stream is closed'));
    stream.once('drain', drained);
    stream.once('close', closed);
    stream.once('error', closed);
  });
}
