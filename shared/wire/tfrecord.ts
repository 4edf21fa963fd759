/**
 * TFRecord files: a chain of records, each with its length and two masked CRC-32Cs.
 *
 *   u64 length · u32 masked CRC of these 8 bytes · the data · u32 masked CRC of the data
 *
 * all little-endian (TensorFlow's record_writer). Only the frame is known here; what the data means
 * is `tf-example.ts`'s business.
 */
import { maskedCrc32c } from './crc32c.ts';

/** Bytes before a record's data and after it. */
export const frameHeadBytes = 12;
export const frameTailBytes = 4;

/** Length of the data that follows a head of 12 bytes; null where its checksum does not hold. */
export function frameLength(head: Uint8Array): number | null {
  const view = new DataView(head.buffer, head.byteOffset, frameHeadBytes);
  if (view.getUint32(8, true) !== maskedCrc32c(head.subarray(0, 8))) return null;
  // Above 2^53 the number is not exact; no such record fits anywhere.
  return view.getUint32(4, true) * 4294967296 + view.getUint32(0, true);
}

/** Does the tail of 4 bytes belong to the data? */
export function frameHolds(data: Uint8Array, tail: Uint8Array): boolean {
  const view = new DataView(tail.buffer, tail.byteOffset, frameTailBytes);
  return view.getUint32(0, true) === maskedCrc32c(data);
}

/** A whole record: head, data, tail. */
export function framed(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(frameHeadBytes + data.length + frameTailBytes);
  const view = new DataView(record.buffer);
  view.setUint32(0, data.length, true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, frameHeadBytes);
  view.setUint32(frameHeadBytes + data.length, maskedCrc32c(data), true);
  return record;
}
