/**
 * The hand-written encoding against proto-loader's own, and through a real gRPC stream.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import {
  channelOptions,
  framed,
  packageDefinition,
  TrainingService,
  tunedServer,
} from '../../../shared/adapters/grpc.ts';
import {
  bucketParts,
  lengthOf,
  type MessageParts,
  weightsParts,
  writeParts,
} from '../../../shared/wire/hot-messages.ts';
import type { BucketMessage, BucketWish, WeightsChunk } from '../../../shared/wire/messages.ts';

const numbers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1];
const wide = [...numbers, 2 ** 32, 2 ** 53 - 1];
const payloads = [0, 1, 3, 127, 128, 70_000].map((length) =>
  Uint8Array.from({ length }, (_, i) => (i * 37 + 11) % 256),
);
const at = <T>(values: readonly T[], i: number): T => values[i % values.length] as T;

function ownEncoding(name: string, message: object): Buffer {
  const type = packageDefinition[`tandem.v1.${name}`];
  assert(type !== undefined && 'serialize' in type && typeof type.serialize === 'function');
  return type.serialize(message) as Buffer;
}

function joined(parts: MessageParts): Buffer {
  const out = Buffer.alloc(lengthOf(parts) + 5);
  assert.equal(writeParts(parts, out, 5), lengthOf(parts));
  return out.subarray(5);
}

test('a bucket is encoded byte for byte as proto-loader encodes it', () => {
  for (let i = 0; i < 240; i += 1) {
    const message: BucketMessage = {
      step: at(wide, i),
      level: at(numbers, i + 1),
      index: at(numbers, i * 3 + 2),
      bucket: at(numbers, i * 5 + 4),
      data: at(payloads, i),
      crc32: at(numbers, i * 7),
    };
    assert.deepEqual(joined(bucketParts(message)), ownEncoding('PushGradientsRequest', message));
  }
});

test('a chunk of weights is encoded byte for byte as proto-loader encodes it', () => {
  for (let i = 0; i < 240; i += 1) {
    const message: WeightsChunk = {
      offset: at(wide, i),
      data: at(payloads, i * 5),
      crc32: at(numbers, i * 3),
    };
    assert.deepEqual(joined(weightsParts(message)), ownEncoding('PullWeightsResponse', message));
  }
});

test('a number that a varint of this wire cannot hold is refused', () => {
  const data = new Uint8Array(0);
  for (const offset of [-1, 0.5, 2 ** 53, Number.NaN])
    assert.throws(() => weightsParts({ offset, data, crc32: 0 }), RangeError);
});

test('a framed message says its length and writes itself where it is told', () => {
  const parts = bucketParts({
    step: 300,
    level: 0,
    index: 1,
    bucket: 2,
    data: at(payloads, 3),
    crc32: 9,
  });
  const message = framed(parts);
  const out = Buffer.alloc(message.length + 7);
  message.copy(out, 7);
  assert.equal(message.byteLength, message.length);
  assert.deepEqual(out.subarray(7), joined(parts));
});

test('both hot messages arrive whole through grpc-js', async () => {
  const data = at(payloads, 5);
  const bucket: BucketMessage = {
    step: 7,
    level: 1,
    index: 2,
    bucket: 3,
    data,
    crc32: 2 ** 32 - 1,
  };
  const chunk: WeightsChunk = { offset: 2 ** 40, data, crc32: 5 };
  const server = tunedServer();
  const uploaded = new Promise<BucketMessage>((resolve) => {
    server.addService(TrainingService.service, {
      pushGradients: (call: grpc.ServerDuplexStream<BucketMessage, BucketWish>) => {
        call.on('data', resolve);
        call.on('end', () => call.end());
      },
      pullWeights: (call: grpc.ServerWritableStream<object, WeightsChunk>) => {
        call.write(chunk);
        call.end();
      },
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const credentials = grpc.credentials.createInsecure();
  const client = new TrainingService(`127.0.0.1:${port}`, credentials, channelOptions);
  const stub = client as unknown as {
    pushGradients(): grpc.ClientDuplexStream<BucketMessage, BucketWish>;
    pullWeights(request: object): AsyncIterable<WeightsChunk>;
  };
  const stream = stub.pushGradients();
  stream.on('data', () => undefined);
  stream.write(bucket);
  assert.deepEqual(await uploaded, { ...bucket, data: Buffer.from(data) });
  stream.end();
  const chunks: WeightsChunk[] = [];
  for await (const message of stub.pullWeights({ generation: 1, weightsHash: '' }))
    chunks.push(message);
  assert.deepEqual(chunks, [{ ...chunk, data: Buffer.from(data) }]);
  client.close();
  server.forceShutdown();
});
