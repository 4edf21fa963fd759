/**
 * Headers of tar archives: ustar, GNU's long names and numbers, POSIX's PAX records.
 *
 * A header is one block of 512 bytes with a checksum of its own; a member's bytes follow, padded to
 * whole blocks. Names are bytes here (their meaning is UTF-8, decided by the caller) and only names:
 * nothing is ever opened or made by them. Source: POSIX pax, GNU tar's "Basic Tar Format".
 */

export const blockBytes = 512;
/** Bytes of a PAX header or a long name that is read; no path needs as many. */
export const metadataBytesMax = 1024 * 1024;

export interface TarHeader {
  name: Uint8Array;
  /** Bytes of the member. */
  size: number;
  /** `0` file, `5` folder, `L` GNU long name of the next member, `x` PAX records for it, … */
  type: string;
}

/** Bytes of a member with its padding. */
export const paddedBytes = (size: number): number => Math.ceil(size / blockBytes) * blockBytes;

/** What a block says: a header, `end` for zeros, or what is wrong with it as a sentence part. */
export function tarHeader(block: Uint8Array): TarHeader | 'end' | { fault: string } {
  if (block.every((byte) => byte === 0)) return 'end';
  const checksum = numberIn(block, 148, 8);
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < blockBytes; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  if (checksum !== unsigned && checksum !== signed)
    return { fault: 'a header whose checksum fails' };
  const size = numberIn(block, 124, 12);
  if (size === null || size < 0) return { fault: 'a size that is no number' };
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156]!);
  const own = cString(block, 0, 100);
  // POSIX archives ("ustar", 0) may split a long name in two; GNU's ("ustar  ") may not.
  const posix = startsWith(block, 257, [0x75, 0x73, 0x74, 0x61, 0x72, 0x00]);
  const prefix = posix ? cString(block, 345, 155) : new Uint8Array(0);
  return { name: prefix.length === 0 ? own : joined(prefix, own), size, type };
}

/** Records `LENGTH KEY=VALUE\n` of a PAX header, by key. Throws an Error on bytes that are none. */
export function paxRecords(bytes: Uint8Array): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const blank = bytes.indexOf(0x20, at);
    const length = blank < 0 ? null : decimal(bytes.subarray(at, blank));
    if (length === null || length < 5 || length > bytes.length - at) {
      throw new Error('a PAX record without its length');
    }
    const record = bytes.subarray(blank + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (equals < 0) throw new Error('a PAX record without "="');
    let key = '';
    for (const byte of record.subarray(0, Math.min(equals, 256))) key += String.fromCharCode(byte);
    records.set(key, record.subarray(equals + 1));
    at += length;
  }
  return records;
}

/** A whole number of digits only, below 2^53; null otherwise. */
export function decimal(bytes: Uint8Array): number | null {
  if (bytes.length === 0 || bytes.length > 15) return null;
  let value = 0;
  for (const byte of bytes) {
    if (byte < 0x30 || byte > 0x39) return null;
    value = value * 10 + (byte - 0x30);
  }
  return value;
}

/** Octal digits between blanks, or GNU's big-endian number; null where it is neither. */
function numberIn(block: Uint8Array, at: number, length: number): number | null {
  const first = block[at]!;
  let value = 0;
  if (first & 0x80) {
    if (first !== 0x80) return null;
    for (let i = at + 1; i < at + length; i++) value = value * 256 + block[i]!;
    return Number.isSafeInteger(value) ? value : null;
  }
  let digits = 0;
  for (let i = at; i < at + length; i++) {
    const byte = block[i]!;
    if (byte === 0x20 && digits === 0) continue;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) return null;
    value = value * 8 + (byte - 0x30);
    digits++;
  }
  return value;
}

function cString(block: Uint8Array, at: number, length: number): Uint8Array {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return Uint8Array.from(end < 0 ? field : field.subarray(0, end));
}

function joined(prefix: Uint8Array, name: Uint8Array): Uint8Array {
  const whole = new Uint8Array(prefix.length + 1 + name.length);
  whole.set(prefix);
  whole[prefix.length] = 0x2f;
  whole.set(name, prefix.length + 1);
  return whole;
}

function startsWith(bytes: Uint8Array, at: number, expected: readonly number[]): boolean {
  return expected.every((value, i) => bytes[at + i] === value);
}
