/**
 * What indexing finds of a shard's records: hash, header and class of each, or why it is left out.
 *
 * Findings are plain data, so that the index cache keeps them as they are; classes stay as the
 * record says them (a number, a name) until the names beside the shard are read.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../core/failures.ts';
import { imageHeadBytes } from '../wire/image-format.ts';
import { cifarSide } from './cifar-shard.ts';
import { type Candidate, messageOf, throwIfAborted } from './folder-walk.ts';
import { folderLabel, imageShape } from './image-header.ts';
import { inLanes } from './lanes.ts';
import { openShard, readAt, type ShardEntry, type ShardKind, type ShardRecord } from './shard.ts';

const recordsAtOnce = 8;
const classFileBytesMax = 1024 * 1024;

/** What was found of a record; kept in the cache as it is. */
export type Finding =
  | { name: string | null; index: number; reason: string }
  | (ShardRecord & { sha256: string; length: number; width: number; height: number });

/** The places of a shard's records. */
export async function entriesOf(
  shard: Candidate,
  kind: ShardKind,
  signal: AbortSignal | undefined,
): Promise<ShardEntry[]> {
  try {
    const file = await openShard(shard.file);
    try {
      return await kind.entries(file, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    const message = `Reading ${shard.file}: ${messageOf(error)}. Check the disk and permissions.`;
    throw new Failure('disk', message, { cause: error });
  }
}

/** Hash and header of every record of a shard, in order. */
export async function inspectAll(
  given: string,
  shard: Candidate,
  kind: ShardKind,
  entries: readonly ShardEntry[],
  tell: (count: number) => void,
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const handle = await open(shard.file, 'r');
  try {
    const places = entries.map((_, place) => place);
    await inLanes(places, recordsAtOnce, async (place) => {
      throwIfAborted(given, signal);
      const entry = entries[place]!;
      findings[place] = 'reason' in entry ? entry : await inspect(handle, kind, entry);
      tell(1);
    });
  } finally {
    await handle.close();
  }
  return findings;
}

async function inspect(handle: FileHandle, kind: ShardKind, entry: ShardRecord): Promise<Finding> {
  const raw = await readAt(handle, entry.offset, entry.bytes);
  if (raw === null) return { ...entry, reason: 'gone while indexing' };
  const bytes = kind.encoded?.(raw) ?? raw;
  const head = bytes.subarray(0, imageHeadBytes);
  const shape =
    kind.encoded === undefined
      ? await imageShape(head, bytes)
      : { width: cifarSide, height: cifarSide };
  if ('reason' in shape) return { name: entry.name, index: entry.index, reason: shape.reason };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { ...entry, sha256, length: bytes.length, ...shape };
}

/** Whether a cache's value is what was once put there. */
export function isFindings(value: unknown): value is Finding[] {
  return (
    Array.isArray(value) &&
    value.every(
      (one: Partial<ShardRecord & { sha256: string; reason: string }> | null) =>
        typeof one?.reason === 'string' ||
        (typeof one?.sha256 === 'string' &&
          /^[0-9a-f]{64}$/.test(one.sha256) &&
          Number.isSafeInteger(one.offset) &&
          Number.isSafeInteger(one.bytes)),
    )
  );
}

/** Names of classes beside a shard, a line each; none where there is no such file. */
export async function classNames(shard: string, kind: ShardKind): Promise<readonly string[]> {
  for (const name of kind.classFiles) {
    const path = join(dirname(shard), name);
    try {
      if ((await stat(path)).size > classFileBytesMax) continue;
      const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim());
      return lines.filter((line) => line !== '');
    } catch {
      // The next name.
    }
  }
  return [];
}

/** The class of a record by name. */
export function labelOf(record: ShardRecord, classes: readonly string[]): string | null {
  const { label, name } = record;
  if (typeof label === 'number') return classes[label] ?? String(label);
  if (label !== null) return label;
  return name === null ? null : folderLabel(name);
}
