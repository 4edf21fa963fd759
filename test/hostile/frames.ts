/**
 * HTTP/2 and gRPC frames, made by hand: whole ones, cut ones, and ones that are none.
 *
 * Fuzzed messages begin as real ones of proto/tandem/v1 and have bytes turned over, cut out, said
 * twice or put in, so that many get past the first checks.
 */
import { packageDefinition } from '../../shared/adapters/grpc.ts';
import { protoVersion } from '../../shared/wire/limits.ts';
import type { Dice } from '../support/draws.ts';

export const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function http2Frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const settingsFrame: Buffer = http2Frame(4, 0, 0, Buffer.alloc(0));

export const randomBytes = (dice: Dice, most: number): Buffer =>
  Buffer.from(Array.from({ length: dice.whole(0, most) }, () => dice.whole(0, 255)));

/** Any type, any flags, mostly a small stream, and a length that is now and then a lie. */
export function garbageFrame(dice: Dice): Buffer {
  const payload = randomBytes(dice, 48);
  const type = dice.chance(0.9) ? dice.whole(0, 9) : dice.whole(10, 255);
  const stream = dice.chance(0.9) ? dice.whole(0, 9) : dice.whole(0, 0x7fffffff);
  const frame = http2Frame(type, dice.whole(0, 255), stream, payload);
  if (dice.chance(0.05)) frame.writeUIntBE(dice.whole(0, 0xffffff), 0, 3);
  return frame;
}

/** A gRPC message with its five bytes before it. `claimed`: the length that it says it has. */
export function grpcFrame(message: Buffer, flag = 0, claimed = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(claimed, 1);
  return Buffer.concat([head, message]);
}

const hash = 'a'.repeat(64);
const leaf = { leaf: 1, inputHash: hash, leafHash: hash, loss: -0.5, std: 0.02, nonFinite: false };

/** Messages as an honest peer would send them, by method. */
const samples: Record<string, Record<string, readonly object[]>> = {
  'tandem.v1.TrainingService': {
    Converse: [
      { join: { protoVersion, worker: 'fuzz', pid: 1, host: 'fuzz', identity: '' } },
      { ready: { stages: [{ name: 'step', sha256: hash }], description: 'x', held: [] } },
      { ready: { stages: [], held: [{ step: 1, level: 1, weightsHash: hash, leaves: [leaf] }] } },
      { heartbeat: { state: 'ready', attempt: 1, done: 1 } },
      { nodeReady: { generation: 1, step: 1, level: 0, index: 1, leaves: [leaf], attempt: 1 } },
      { leaseFailed: { generation: 1, step: 1, code: 'internal', message: 'x' } },
      { featuresReady: { generation: 1, chunk: 0, features: Buffer.alloc(64), crc32: 7 } },
      { leave: { reason: 'x', draining: true } },
    ],
    PushGradients: [{ step: 1, level: 0, index: 0, bucket: 0, data: Buffer.alloc(64), crc32: 1 }],
    PullWeights: [{ generation: 1, weightsHash: hash }],
    ListSamples: [{}],
    FetchSample: [{ sha256: hash }],
  },
  'tandem.v1.RunService': {
    GetStatus: [{}],
    WatchEvents: [{ since: 1 }],
    DrainWorker: [{ worker: 'fuzz' }],
  },
};

export interface Method {
  path: string;
  messages: readonly Buffer[];
}

interface Serialized {
  path: string;
  requestSerialize(message: object): Buffer;
}

/** Whole messages of every method that a peer can call. */
export const methods: readonly Method[] = Object.entries(samples).flatMap(([service, calls]) =>
  Object.entries(calls).map(([name, messages]): Method => {
    const definition = packageDefinition[service] as unknown as Record<string, Serialized>;
    const method = definition[name];
    if (method === undefined) throw new Error(`there is no ${service}/${name}`);
    const encode = (message: object): Buffer => {
      // Hot messages are handed out in parts that copy themselves.
      const parts = method.requestSerialize(message) as Buffer & { byteLength: number };
      const whole = Buffer.alloc(parts.byteLength);
      parts.copy(whole, 0);
      return whole;
    };
    return { path: method.path, messages: messages.map(encode) };
  }),
);

/** A real message after a few random injuries, or bytes that never were one. */
export function fuzzed(dice: Dice, method: Method): Buffer {
  if (dice.chance(0.2)) return randomBytes(dice, 200);
  let bytes: Buffer = Buffer.from(dice.oneOf(method.messages));
  for (let injuries = dice.whole(0, 4); injuries > 0 && bytes.length > 0; injuries -= 1) {
    const at = dice.whole(0, bytes.length - 1);
    const end = Math.min(bytes.length, at + dice.whole(1, 8));
    const kind = dice.whole(0, 3);
    if (kind === 0) bytes[at] = dice.whole(0, 255);
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    else if (kind === 2) bytes = Buffer.concat([bytes, bytes.subarray(at, end)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), randomBytes(dice, 12), bytes.subarray(at)]);
  }
  return bytes;
}
