/** Weights and running statistics as they arrive: placed, and hashed on the way. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type * as grpc from '@grpc/grpc-js';
import { Failure } from '../../shared/core/failures.ts';
import type { WeightLayout } from '../../shared/core/weight-layout.ts';
import { placeSent, type WeightMemory } from '../../shared/core/weight-memory.ts';
import type { WeightsChunk } from '../../shared/wire/messages.ts';

/** Where weights are put as they arrive. */
export interface WeightsTarget {
  layout: WeightLayout;
  memory: WeightMemory;
}

/** SHA-256 over what was sent, hex. */
export interface SentHashes {
  weights: string;
  statistics: string;
}

/** Takes weights and running statistics in order. */
export async function receiveWeights(
  call: grpc.ClientReadableStream<WeightsChunk>,
  { layout, memory }: WeightsTarget,
): Promise<SentHashes> {
  const { weightBytes, sentBytes } = layout;
  const [weights, statistics] = [createHash('sha256'), createHash('sha256')];
  let received = 0;
  for await (const chunk of call as AsyncIterable<WeightsChunk>) {
    const { offset, data: bytes } = chunk;
    const end = offset + bytes.length;
    const inWeights = end <= weightBytes;
    const fits = offset === received && (inWeights || offset >= weightBytes) && end <= sentBytes;
    // The hash covers the weights, and nothing else the statistics where they are not asked for.
    if (!fits || (!inWeights && crc32(bytes) !== chunk.crc32)) {
      call.cancel();
      throw new Failure('bad-message', 'the weights arrived damaged or out of order');
    }
    (inWeights ? weights : statistics).update(bytes);
    placeSent(layout, memory, bytes, offset);
    received = end;
  }
  if (received !== sentBytes) throw new Failure('bad-message', 'the weights did not arrive whole');
  return { weights: weights.digest('hex'), statistics: statistics.digest('hex') };
}
