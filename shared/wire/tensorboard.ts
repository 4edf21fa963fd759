/**
 * TensorBoard's event files: TFRecords of `tensorflow.Event` with scalar summaries.
 *
 * Only what is needed is encoded, by hand, field by field:
 *   Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5;
 *           SessionLog session_log = 7; }   Summary { repeated Value value = 1; }
 *   Value { string tag = 1; float simple_value = 2; }   SessionLog { status = 1: START is 1 }
 * (tensorflow/core/util/event.proto and framework/summary.proto). A session that starts at a step
 * makes TensorBoard drop what it had from that step on, which is what a rewind means.
 */
import { framed } from './tfrecord.ts';

export interface Scalar {
  tag: string;
  value: number;
}

/** Tags are ASCII; what is not becomes an underscore. */
const ascii = (text: string): number[] =>
  Array.from(text, (letter) => (letter > '~' ? 0x5f : letter.charCodeAt(0)));

/** Protobuf's variable-length whole number, below 2^53. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

/** A field of bytes: its number, length and content. */
function field(number: number, content: ArrayLike<number>): number[] {
  return [(number << 3) | 2, ...varint(content.length), ...Array.from(content)];
}

const littleEndian = (bytes: number, write: (view: DataView) => void): number[] => {
  const view = new DataView(new ArrayBuffer(bytes));
  write(view);
  return [...new Uint8Array(view.buffer)];
};

function event(seconds: number, body: readonly number[]): Uint8Array {
  const time = littleEndian(8, (view) => view.setFloat64(0, seconds, true));
  return framed(Uint8Array.from([0x09, ...time, ...body]));
}

/** The first record of a file. `seconds` since 1970, as everywhere here. */
export function fileVersion(seconds: number): Uint8Array {
  return event(seconds, field(3, ascii('brain.Event:2')));
}

/** Values at a step. */
export function scalars(seconds: number, step: number, values: readonly Scalar[]): Uint8Array {
  const encoded = values.flatMap(({ tag, value }) => {
    const simple = littleEndian(4, (view) => view.setFloat32(0, value, true));
    return field(1, [...field(1, ascii(tag)), 0x15, ...simple]);
  });
  return event(seconds, [0x10, ...varint(step), ...field(5, encoded)]);
}

/** From this step on everything is told anew. */
export function sessionStart(seconds: number, step: number): Uint8Array {
  return event(seconds, [0x10, ...varint(step), ...field(7, [0x08, 1])]);
}
