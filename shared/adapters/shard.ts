/**
 * A shard: one file that holds many images (a tar, TFRecords, CIFAR's binary records), and what a
 * reader of one kind of shard gives.
 *
 * A reader makes an index of places, never of contents: the file is passed through one window of
 * memory. A shard that breaks its own format stops the indexing (`data-damaged`): data must not
 * shrink in silence. A record that is whole but no image is left out with a reason.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { Failure } from '../core/failures.ts';

export interface ShardRecord {
  /** Name within the shard (a path), or null where the kind has none. */
  name: string | null;
  /** Place among the records of the shard, from 0. */
  index: number;
  /** Where its bytes lie in the file. */
  offset: number;
  bytes: number;
  /** A class by name, or by number into the shard's class names; null where it says none. */
  label: string | number | null;
}

/** A record that is left out, and why. */
export interface ShardLeftOut {
  name: string | null;
  index: number;
  reason: string;
}

export type ShardEntry = ShardRecord | ShardLeftOut;

export interface ShardKind {
  kind: 'tar' | 'tfrecord' | 'cifar';
  /** Every record in the order of the file. Rejects with `data-damaged`. */
  entries(file: ShardFile, signal?: AbortSignal): Promise<ShardEntry[]>;
  /** The encoded image of a record's bytes, where they are not one already. */
  encoded?(bytes: Uint8Array): Uint8Array;
  /** Files beside the shard that name its classes, a line each; the first that exists counts. */
  classFiles: readonly string[];
}

const windowBytes = 256 * 1024;

/** An open shard that is read through a window. */
export interface ShardFile {
  /** As messages name it. */
  path: string;
  size: number;
  /**
   * Bytes [at, at + length), a view that holds until the next call; null where the file ends
   * before. Lengths beyond the window are the caller's to bound.
   */
  view(at: number, length: number): Promise<Uint8Array | null>;
  close(): Promise<void>;
}

export async function openShard(path: string): Promise<ShardFile> {
  const handle = await open(path, 'r');
  const { size } = await handle.stat();
  const buffer = Buffer.allocUnsafe(windowBytes);
  let start = 0;
  let held = 0;
  return {
    path,
    size,
    async view(at, length) {
      if (at + length > size) return null;
      if (length > windowBytes) return readAt(handle, at, length);
      if (at < start || at + length > start + held) {
        start = at;
        ({ bytesRead: held } = await handle.read(buffer, 0, windowBytes, at));
        if (held < length) return null;
      }
      return buffer.subarray(at - start, at - start + length);
    },
    close: () => handle.close(),
  };
}

/** Reads exactly these bytes; null where the file ends before. */
export async function readAt(
  handle: FileHandle,
  at: number,
  length: number,
): Promise<Uint8Array | null> {
  const bytes = Buffer.allocUnsafe(length);
  for (let held = 0; held < length; ) {
    const { bytesRead } = await handle.read(bytes, held, length - held, at + held);
    if (bytesRead === 0) return null;
    held += bytesRead;
  }
  return bytes;
}

/** The failure of a shard that breaks its format at a byte. */
export function damaged(file: Pick<ShardFile, 'path'>, at: number, found: string): Failure {
  return new Failure(
    'data-damaged',
    `${file.path} is damaged at byte ${at}: ${found}. Fetch it again, or take it out of --data.`,
  );
}
