/**
 * TFRecord shards of images: each record a tf.Example with an encoded image, perhaps a label and a
 * file name (TensorFlow Datasets writes `image` and `label`; older converters `image/encoded`,
 * `image/class/label`, `image/filename`). Every checksum is verified while indexing.
 */
import { Failure } from '../core/failures.ts';
import { exampleFeatures, type FeatureValue } from '../wire/tf-example.ts';
import { frameHeadBytes, frameHolds, frameLength, frameTailBytes } from '../wire/tfrecord.ts';
import { imageBytesMax } from './image-header.ts';
import { damaged, type ShardEntry, type ShardFile, type ShardKind } from './shard.ts';

/** An image and what surrounds it. */
const recordBytesMax = imageBytesMax + 1024 * 1024;
const textCharactersMax = 1024;

const imageFields = ['image', 'image/encoded', 'image_raw', 'jpg', 'jpeg', 'png', 'webp'];
const nameFields = ['filename', 'file_name', 'image/filename', 'image/file_name', 'path'];
const labelFields = ['label', 'image/class/text', 'image/class/label', 'cls'];

type Features = Map<string, FeatureValue>;

function textOf(features: Features, names: readonly string[]): string | null {
  for (const name of names) {
    const value = features.get(name);
    if (value == null || !('bytes' in value) || value.bytes.length === 0) continue;
    const text = Buffer.from(value.bytes).toString('utf8');
    if (text.length <= textCharactersMax && !text.includes('\0')) return text.normalize('NFC');
  }
  return null;
}

function labelOf(features: Features): string | number | null {
  for (const name of labelFields) {
    const value = features.get(name);
    if (value == null) continue;
    if ('whole' in value) return value.whole;
    const text = textOf(features, [name]);
    if (text !== null) return text;
  }
  return null;
}

function entryOf(record: Uint8Array, at: number, index: number): ShardEntry {
  let features: Features;
  try {
    features = exampleFeatures(record);
  } catch (error) {
    return { name: null, index, reason: `not a tf.Example: ${(error as Error).message}` };
  }
  const name = textOf(features, nameFields)?.replace(/^(\.\/+)+/, '') ?? null;
  for (const field of imageFields) {
    const value = features.get(field);
    if (value == null || !('bytes' in value)) continue;
    const { bytes } = value;
    if (bytes.length === 0) return { name, index, reason: 'an empty file' };
    const offset = at + bytes.byteOffset - record.byteOffset;
    return { name, index, offset, bytes: bytes.length, label: labelOf(features) };
  }
  return { name, index, reason: 'no field "image" with an encoded image' };
}

async function entries(file: ShardFile, signal?: AbortSignal): Promise<ShardEntry[]> {
  const found: ShardEntry[] = [];
  for (let at = 0; at < file.size; ) {
    if (signal?.aborted) throw new Failure('interrupted', `Indexing ${file.path} was interrupted.`);
    const head = await file.view(at, frameHeadBytes);
    if (head === null) throw damaged(file, at, 'the file ends within a record');
    const length = frameLength(head);
    if (length === null) {
      const gzip = at === 0 && head[0] === 0x1f && head[1] === 0x8b;
      const more = gzip ? ' (it is compressed: gunzip it first)' : '';
      throw damaged(file, at, `a record's length whose checksum fails${more}`);
    }
    const data = at + frameHeadBytes;
    const next = data + length + frameTailBytes;
    if (next > file.size) throw damaged(file, at, 'the file ends within a record');
    const index = found.length;
    if (length > recordBytesMax) {
      found.push({ name: null, index, reason: `larger than ${imageBytesMax} bytes` });
    } else {
      const whole = await file.view(data, length + frameTailBytes);
      if (whole === null) throw damaged(file, at, 'the file ends within a record');
      const record = whole.subarray(0, length);
      if (!frameHolds(record, whole.subarray(length))) {
        throw damaged(file, data, 'a record whose checksum fails');
      }
      found.push(entryOf(record, data, index));
    }
    at = next;
  }
  return found;
}

export const tfrecordShard: ShardKind = {
  kind: 'tfrecord',
  entries,
  classFiles: ['label.labels.txt', 'labels.txt'],
};
