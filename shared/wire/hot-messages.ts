/**
 * The two messages that carry megabytes, encoded without copying what they carry.
 *
 * A message is a head (the fields before its bytes, and their tag and length), the bytes, and a
 * tail (its checksum). The parts stay apart until grpc-js asks where to put them, so a payload is
 * copied once on its way out instead of twice. The encoding equals protobufjs's own, byte for byte:
 * fields by number, zeros written.
 *
 * Field numbers: PushGradientsRequest and PullWeightsResponse in proto/tandem/v1/training.proto.
 */
import type { BucketMessage, WeightsChunk } from './messages.ts';

/** A message in parts. `data` is a view of the sender's memory, which must not change until sent. */
export interface MessageParts {
  head: Uint8Array;
  data: Uint8Array;
  tail: Uint8Array;
}

const bytesType = 2;

export function bucketParts(message: BucketMessage): MessageParts {
  const head: number[] = [];
  putNumber(head, 1, message.step);
  putNumber(head, 2, message.level);
  putNumber(head, 3, message.index);
  putNumber(head, 4, message.bucket);
  return withBytes(head, 5, message.data, message.crc32);
}

export function weightsParts(message: WeightsChunk): MessageParts {
  const head: number[] = [];
  putNumber(head, 1, message.offset);
  return withBytes(head, 2, message.data, message.crc32);
}

export function lengthOf({ head, data, tail }: MessageParts): number {
  return head.length + data.length + tail.length;
}

/** Writes the message into `target` from byte `at` on; returns its length. */
export function writeParts(parts: MessageParts, target: Uint8Array, at: number): number {
  target.set(parts.head, at);
  target.set(parts.data, at + parts.head.length);
  target.set(parts.tail, at + parts.head.length + parts.data.length);
  return lengthOf(parts);
}

/** The checksum's field follows the bytes'. */
function withBytes(head: number[], field: number, data: Uint8Array, crc32: number): MessageParts {
  head.push(field * 8 + bytesType);
  putVarint(head, data.length);
  const tail: number[] = [];
  putNumber(tail, field + 1, crc32);
  return { head: Uint8Array.from(head), data, tail: Uint8Array.from(tail) };
}

function putNumber(out: number[], field: number, value: number): void {
  out.push(field * 8);
  putVarint(out, value);
}

/** A whole number in [0, 2^53): seven bits a byte, lowest first. */
function putVarint(out: number[], value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`expected a whole number in [0, 2^53), found ${value}`);
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  out.push(rest);
}
