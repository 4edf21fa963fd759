/**
 * The worker's gRPC calls. Control has a connection of its own, so a heartbeat never waits behind a
 * gradient, and bulk has one for each direction: an HTTP/2 session of Node's does not read while a
 * write of its own waits, so two ends that both send bulk on one connection can stop each other for
 * ever.
 */
import { crc32 } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import type { Dialled } from '../../shared/adapters/dial.ts';
import { TrainingService, writeTo } from '../../shared/adapters/grpc.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { bucketElements, sampleBytesMax } from '../../shared/wire/limits.ts';
import type {
  BucketMessage,
  BucketWish,
  ConverseRequest,
  ConverseResponse,
  WeightsChunk,
} from '../../shared/wire/messages.ts';
import { parseSamples } from '../../shared/wire/samples.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { receiveWeights, type SentHashes, type WeightsTarget } from './receive-weights.ts';

type Duplex<A, B> = grpc.ClientDuplexStream<A, B>;
type Readable<T> = grpc.ClientReadableStream<T>;

interface Stub {
  converse(metadata: grpc.Metadata): Duplex<ConverseRequest, ConverseResponse>;
  pushGradients(metadata: grpc.Metadata): Duplex<BucketMessage, BucketWish>;
  pullWeights(request: object, options: grpc.CallOptions): Readable<WeightsChunk>;
  listSamples(request: object, options: grpc.CallOptions): Readable<{ lines: string }>;
  fetchSample(request: object, options: grpc.CallOptions): Readable<{ data: Uint8Array }>;
}

/** Longest wait for one of the data calls, milliseconds. */
const callMs = 120_000;

export interface WeightsAhead {
  step: number;
  /** Once they are whole; null where they did not come. */
  hashes: Promise<SentHashes | null>;
  /** Nothing is written any more once `hashes` has settled. */
  cancel(): void;
}

export interface Transport {
  converse(): Duplex<ConverseRequest, ConverseResponse>;
  /** Serves the coordinator's wishes from the finished nodes until the stream ends. */
  serveGradients(
    as: { worker: string; generation: number; session: string },
    payloadOf: (wish: BucketWish) => Float32Array | undefined,
  ): { end(): void };
  /** Fills the memory with the weights of this hash; rejects where they are not current. */
  pullWeights(generation: number, weightsHash: string, into: WeightsTarget): Promise<SentHashes>;
  /** Fills it with what the open step makes, while it is made. */
  followWeights(generation: number, step: number, into: WeightsTarget): WeightsAhead;
  listSamples(): Promise<Sample[]>;
  /** Rejects with `sample-unavailable` where nobody has it, or it has more bytes than that. */
  fetchSample(sha256: string, bytesMax: number): Promise<Uint8Array>;
  close(): void;
}

export function openTransport({ target, credentials, options }: Dialled): Transport {
  const client = () => new TrainingService(target, credentials, options);
  const control = client();
  const up = client();
  const down = client();
  const controlStub = control as unknown as Stub;
  const upStub = up as unknown as Stub;
  const downStub = down as unknown as Stub;
  const within = (): grpc.CallOptions => ({ deadline: Date.now() + callMs });
  /** A client that is closed leaves its calls alone; whoever waits for one would wait on. */
  const underway = new Set<Readable<never>>();
  function read<T>(call: Readable<T>): Readable<T> {
    underway.add(call as Readable<never>);
    call.once('close', () => underway.delete(call as Readable<never>));
    return call;
  }
  return {
    converse: () => controlStub.converse(new grpc.Metadata()),
    serveGradients({ worker, generation, session }, payloadOf) {
      const metadata = new grpc.Metadata();
      metadata.set('worker', worker);
      metadata.set('generation', String(generation));
      metadata.set('session', session);
      const stream = upStub.pushGradients(metadata);
      let last: Promise<void> = Promise.resolve();
      stream.on('data', (wish: BucketWish) => {
        last = last.then(() => answer(stream, wish, payloadOf(wish)));
        last.catch(() => stream.cancel());
      });
      // The control stream tells of the same loss; here it only must not be unhandled.
      stream.on('error', () => undefined);
      return { end: () => stream.end() };
    },
    async pullWeights(generation, weightsHash, into) {
      const call = read(downStub.pullWeights({ generation, weightsHash, step: 0 }, within()));
      const hashes = await receiveWeights(call, into);
      if (hashes.weights !== weightsHash)
        throw new Failure('bad-message', 'the weights do not have the hash that was announced');
      return hashes;
    },
    followWeights(generation, step, into) {
      const call = read(downStub.pullWeights({ generation, weightsHash: '', step }, within()));
      return {
        step,
        hashes: receiveWeights(call, into).catch(() => null),
        cancel: () => call.cancel(),
      };
    },
    async listSamples() {
      const lines: string[] = [];
      const call = read(downStub.listSamples({}, within()));
      try {
        for await (const part of call as AsyncIterable<{ lines: string }>) lines.push(part.lines);
      } catch (error) {
        throw lostOnTheWay(error, 'the sample list') ?? error;
      }
      return parseSamples(lines.join(''));
    },
    async fetchSample(sha256, bytesMax) {
      const parts: Uint8Array[] = [];
      let bytes = 0;
      const call = read(downStub.fetchSample({ sha256 }, within()));
      try {
        for await (const part of call as AsyncIterable<{ data: Uint8Array }>) {
          bytes += part.data.length;
          if (bytes > Math.min(bytesMax, sampleBytesMax)) {
            call.cancel();
            const message = 'the image is larger than the sample list says';
            throw new Failure('sample-unavailable', message);
          }
          parts.push(part.data);
        }
      } catch (error) {
        const { code, details } = error as grpc.ServiceError;
        if (code === grpc.status.NOT_FOUND)
          throw new Failure('sample-unavailable', details, { cause: error });
        throw lostOnTheWay(error, 'the image') ?? error;
      }
      return Buffer.concat(parts);
    },
    close() {
      for (const call of underway) call.cancel();
      for (const connection of [control, up, down]) connection.close();
    },
  };
}

/** `coordinator-unreachable` where a call broke with its connection, else null. */
function lostOnTheWay(error: unknown, what: string): Failure | null {
  const { CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE } = grpc.status;
  const { code, message } = error as grpc.ServiceError;
  if (![CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE].includes(code)) return null;
  return new Failure('coordinator-unreachable', `${what} did not arrive: ${message}`, {
    cause: error,
  });
}

async function answer(
  stream: Duplex<BucketMessage, BucketWish>,
  wish: BucketWish,
  payload: Float32Array | undefined,
): Promise<void> {
  if (payload === undefined) throw new Error('a node was asked for that is not held');
  const start = wish.bucket * bucketElements;
  const data = bytesOf(payload.subarray(start, start + bucketElements));
  await writeTo(stream, { ...wish, data, crc32: crc32(data) });
}
