/**
 * DER, written and never read: the few forms that an X.509 certificate is made of (ITU-T X.690).
 *
 * Reading and checking certificates is OpenSSL's business, here and at every peer. Why this is no
 * library stands in the decision on the door (docs/adr).
 */

const bytes = (...parts: (Uint8Array | number[])[]): Uint8Array =>
  Buffer.concat(parts.map(Buffer.from));

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff);
  return [0x80 | digits.length, ...digits];
}

/** Tag, length, content. */
export function der(tag: number, ...content: Uint8Array[]): Uint8Array {
  const body = bytes(...content);
  return bytes([tag], lengthBytes(body.length), body);
}

export const sequence = (...items: Uint8Array[]): Uint8Array => der(0x30, ...items);
export const setOf = (item: Uint8Array): Uint8Array => der(0x31, item);
export const octets = (content: Uint8Array): Uint8Array => der(0x04, content);
export const boolean = (value: boolean): Uint8Array => der(0x01, Uint8Array.of(value ? 0xff : 0));
export const utf8 = (text: string): Uint8Array => der(0x0c, Buffer.from(text, 'utf8'));

/** Context-specific and constructed: `[n] { … }`. */
export const tagged = (n: number, ...items: Uint8Array[]): Uint8Array => der(0xa0 | n, ...items);
/** Context-specific and primitive: `[n] IMPLICIT`. */
export const implicit = (n: number, content: Uint8Array): Uint8Array => der(0x80 | n, content);

/** A non-negative whole number, big-endian. */
export function integer(value: Uint8Array): Uint8Array {
  let at = 0;
  while (at < value.length - 1 && value[at] === 0) at += 1;
  const digits = value.subarray(at);
  const sign = (digits[0] ?? 0) & 0x80 ? [0] : [];
  return der(0x02, bytes(sign, digits));
}

/** Whole bytes, or with the last `unused` bits left out. */
export const bits = (content: Uint8Array, unused = 0): Uint8Array =>
  der(0x03, Uint8Array.of(unused), content);

/** `1.2.840.10045.4.3.2`. */
export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const arcs = [40 * first + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
    return digits;
  });
  return der(0x06, Uint8Array.from(arcs));
}

/** UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5); to the second. */
export function time(at: Date): Uint8Array {
  const digits = at.toISOString().replaceAll(/\D/g, '').slice(0, 14);
  const late = at.getUTCFullYear() >= 2050;
  return der(late ? 0x18 : 0x17, Buffer.from(`${late ? digits : digits.slice(2)}Z`, 'latin1'));
}
