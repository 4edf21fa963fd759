/**
 * Which shards there are: the archives below a folder, or the one that is named.
 *
 * What a file is, is told by its name. A test split beside its training split is left out, so that
 * pre-training never sees it; it is read where its file alone is named as the data.
 */
import { realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Failure } from '../core/failures.ts';
import type { LeftOut } from '../core/sample.ts';
import { cifar100Shard, cifar10Shard } from './cifar-shard.ts';
import { comparePaths } from './fingerprint.ts';
import { type Candidate, codeOf, listFiles, messageOf } from './folder-walk.ts';
import type { ShardKind } from './shard.ts';
import { tarShard } from './tar-shard.ts';
import { tfrecordShard } from './tfrecord-shard.ts';

/** The kind of shard that a file is by its name; null where it is none. */
export function shardKindOf(name: string): ShardKind | null {
  if (/\.tar$/i.test(name)) return tarShard;
  if (/\.(tfrecords?|tfrec)(-\d+-of-\d+)?$/i.test(name)) return tfrecordShard;
  if (/^(data_batch_\d|test_batch)\.bin$/.test(basename(name))) return cifar10Shard;
  if (/^(train|test)\.bin$/.test(basename(name))) return cifar100Shard;
  return null;
}

/** The shards below a folder, or the one that is named; test splits beside others left out. */
export async function shardsOf(
  given: string,
  signal: AbortSignal | undefined,
): Promise<{ shards: Candidate[]; leftOut: LeftOut[] }> {
  let isFile: boolean;
  try {
    isFile = (await stat(given)).isFile();
  } catch (error) {
    const found = codeOf(error) === 'ENOENT' ? 'nothing there' : messageOf(error);
    throw new Failure('data-missing', `Expected archives at ${given}; found ${found}.`, {
      cause: error,
    });
  }
  if (isFile) return { shards: [{ file: given, path: basename(given) }], leftOut: [] };
  const listed = await listFiles(given, await realpath(given), signal, (name) =>
    shardKindOf(name) === null ? null : 'archive',
  );
  const test = /(^|\/)(test_batch|test)\.bin$|-(test|validation|val)\.tfrec/i;
  const train = /(^|\/)(data_batch_\d|train)\.bin$|-train\.tfrec/i;
  const split = listed.candidates.some(({ path }) => train.test(path));
  const shards: Candidate[] = [];
  for (const candidate of listed.candidates) {
    if (split && test.test(candidate.path)) {
      const reason = 'a test split beside its training split: name the file itself to read it';
      listed.leftOut.push({ path: candidate.path, reason });
    } else shards.push(candidate);
  }
  shards.sort((a, b) => comparePaths(a.path, b.path));
  return { shards, leftOut: listed.leftOut };
}
