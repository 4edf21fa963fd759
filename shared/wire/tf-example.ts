/**
 * The fields of a tf.Example: name to first value, bytes or whole number.
 *
 * Read straight off the wire format, without copying: an image stays a view into the record, so its
 * place in the file is known. Messages (tensorflow/core/example): Example { Features = 1 }, Features
 * { map<string, Feature> = 1 }, Feature { BytesList = 1 | FloatList = 2 | Int64List = 3 }, each list
 * { repeated value = 1 }. Unknown fields are passed over; every length is checked before it is used.
 */

/** The first value of a feature; null where it has none, or numbers with fractions. */
export type FeatureValue = { bytes: Uint8Array } | { whole: number } | null;

const lengthDelimited = 2;

/** One field of a message: its number and either a whole number or bytes. */
interface Field {
  number: number;
  bytes: Uint8Array | null;
  whole: number;
}

/** Features by name (read as Latin-1: names are ASCII). Throws an Error on bytes that are none. */
export function exampleFeatures(record: Uint8Array): Map<string, FeatureValue> {
  const features = new Map<string, FeatureValue>();
  for (const outer of fields(record)) {
    if (outer.number !== 1 || outer.bytes === null) continue;
    for (const entry of fields(outer.bytes)) {
      if (entry.number !== 1 || entry.bytes === null) continue;
      let name = '';
      let value: FeatureValue = null;
      for (const part of fields(entry.bytes)) {
        if (part.bytes === null) continue;
        if (part.number === 1) name = latin1(part.bytes);
        else if (part.number === 2) value = firstValue(part.bytes);
      }
      features.set(name, value);
    }
  }
  return features;
}

function firstValue(feature: Uint8Array): FeatureValue {
  for (const list of fields(feature)) {
    if (list.bytes === null) continue;
    for (const value of fields(list.bytes)) {
      if (value.number !== 1) continue;
      if (list.number === 1 && value.bytes !== null) return { bytes: value.bytes };
      if (list.number !== 3) continue;
      // Packed, as TensorFlow writes it, or one by one.
      if (value.bytes === null) return { whole: value.whole };
      if (value.bytes.length > 0) return { whole: varint(value.bytes, 0).value };
    }
  }
  return null;
}

function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at);
    at = tag.next;
    const number = Math.floor(tag.value / 8);
    const type = tag.value % 8;
    if (type === 0) {
      const { value, next } = varint(bytes, at);
      at = next;
      yield { number, bytes: null, whole: value };
      continue;
    }
    let length = type === 1 ? 8 : 4;
    if (type === lengthDelimited) {
      const said = varint(bytes, at);
      length = said.value;
      at = said.next;
    } else if (type !== 1 && type !== 5) throw new Error(`a field of wire type ${type}`);
    if (length > bytes.length - at) throw new Error('a field that is longer than its message');
    if (type === lengthDelimited) {
      yield { number, bytes: bytes.subarray(at, at + length), whole: 0 };
    }
    at += length;
  }
}

/** A varint of at most ten bytes; exact below 2^53, negative numbers as two's complement. */
function varint(bytes: Uint8Array, start: number): { value: number; next: number } {
  let value = 0;
  let factor = 1;
  for (let at = start; at < start + 10; at++) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value += (byte & 127) * factor;
    factor *= 128;
    if (byte < 128) {
      const negative = at === start + 9 && byte === 1;
      return { value: negative ? value - 18446744073709551616 : value, next: at + 1 };
    }
  }
  throw new Error('a number that does not end');
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes.subarray(0, 1024)) text += String.fromCharCode(byte);
  return text;
}
