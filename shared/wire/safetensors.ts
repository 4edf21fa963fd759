/**
 * The safetensors format (8-byte little-endian header length, JSON header, data): f32 only.
 *
 * The header holds names, shapes and offsets and nothing about time, path, host or run, so that a
 * checkpoint's bytes are a function of the run (NUMERICS 6). Names are sorted bytewise; the header
 * is padded with spaces to a multiple of 8 bytes.
 */
import { parseHeader } from './safetensors-header.ts';

export interface TensorEntry {
  name: string;
  shape: readonly number[];
}

export interface LocatedTensor extends TensorEntry {
  /** First byte of the data, from the start of the file. */
  offset: number;
  /** Bytes. */
  length: number;
}

const ascii = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    if (code > 126) throw new Error(`a tensor's name is ASCII; found ${JSON.stringify(text)}`);
    return code;
  });

const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Orders two names by their bytes (names are ASCII, so by code unit). */
export const byName = (a: TensorEntry, b: TensorEntry): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

/**
 * The header's bytes, with where each tensor lies in the file. Entries must be sorted by name.
 * `metadata` stands first, where any is given.
 */
export function encodeHeader(
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>> | null = null,
): { header: Uint8Array; tensors: LocatedTensor[] } {
  const fields = metadata === null ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  let end = 0;
  const spans = entries.map((entry, i) => {
    const previous = entries[i - 1];
    if (previous && byName(previous, entry) >= 0)
      throw new Error(`tensors are sorted by name; ${entry.name} is not`);
    const start = end;
    end += 4 * elements(entry.shape);
    fields.push(
      `${JSON.stringify(entry.name)}:{"dtype":"F32","shape":${JSON.stringify(entry.shape)},` +
        `"data_offsets":[${start},${end}]}`,
    );
    return { start, end };
  });
  let json = `{${fields.join(',')}}`;
  json += ' '.repeat((8 - (json.length % 8)) % 8);
  const header = new Uint8Array(8 + json.length);
  new DataView(header.buffer).setUint32(0, json.length, true);
  header.set(ascii(json), 8);
  const tensors = entries.map((entry, i) => {
    const { start = 0, end: stop = 0 } = spans[i] ?? {};
    return { ...entry, offset: header.length + start, length: stop - start };
  });
  return { header, tensors };
}

/** Length of the JSON header from the first eight bytes; throws where it is not plausible. */
export function headerLength(first8: Uint8Array): number {
  const view = new DataView(first8.buffer, first8.byteOffset, 8);
  const low = view.getUint32(0, true);
  if (view.getUint32(4, true) !== 0 || low > 100_000_000)
    throw new Error('not a safetensors file: its header length is not plausible');
  return low;
}

/** Where each tensor lies; `headerText` is the JSON header, `dataStart` its end in the file. */
export function decodeHeader(headerText: string, dataStart: number): LocatedTensor[] {
  return parseHeader(headerText).map(({ name, dtype, shape, start, end }) => {
    if (dtype !== 'F32') throw new Error(`tensor ${name} is ${dtype}, not F32`);
    if (end - start !== 4 * elements(shape))
      throw new Error(`tensor ${name}: its shape and its bytes disagree`);
    return { name, shape, offset: dataStart + start, length: end - start };
  });
}
