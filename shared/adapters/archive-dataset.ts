/**
 * Archives as a dataset: the images in tars, TFRecords and CIFAR's binary files below a folder (or
 * in one such file), read in place by an index of offsets.
 *
 * A member's name stands for a path and its encoded bytes for a file (NUMERICS 1), so the same
 * photographs have the same fingerprint in a folder and in archives. A record without a name, and
 * one whose name another record before it has (shards in bytewise order), is `shard#index`.
 */
import { open, realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Failure } from '../core/failures.ts';
import type { LeftOut, Sample } from '../core/sample.ts';
import type { Dataset, DatasetIndex, IndexProgress } from '../ports/dataset.ts';
import { comparePaths, fingerprintOf, sha256Of } from './fingerprint.ts';
import { type Candidate, codeOf, messageOf, throwIfAborted } from './folder-walk.ts';
import { indexCacheFolder, openIndexCache } from './index-cache.ts';
import { readAt, type ShardEntry, type ShardKind } from './shard.ts';
import {
  classNames,
  entriesOf,
  type Finding,
  inspectAll,
  isFindings,
  labelOf,
} from './shard-findings.ts';
import { shardKindOf, shardsOf } from './shards.ts';

interface Place {
  file: string;
  kind: ShardKind;
  offset: number;
  bytes: number;
}

export function archiveDataset(
  root: string,
  cacheFolder: string | null = indexCacheFolder,
): Dataset {
  const given = resolve(root);
  let places: Promise<Map<string, Place>> | null = null;

  async function index(
    onProgress?: (progress: IndexProgress) => void,
    signal?: AbortSignal,
  ): Promise<DatasetIndex> {
    const { shards, leftOut } = await shardsOf(given, signal);
    const real = await realpath(given);
    const cache = await openIndexCache(cacheFolder, real, 'archives');
    const found: { shard: Candidate; kind: ShardKind; entries: ShardEntry[]; done?: Finding[] }[] =
      [];
    let total = 0;
    for (const shard of shards) {
      throwIfAborted(given, signal);
      const kind = shardKindOf(shard.path)!;
      const known = cache.get(shard.path, await stat(shard.file, { bigint: true }));
      const done = isFindings(known) ? known : undefined;
      const entries = done ?? (await entriesOf(shard, kind, signal));
      found.push({ shard, kind, entries, ...(done ? { done } : {}) });
      total += entries.length;
    }
    let done = 0;
    const tell = (count: number): void => onProgress?.({ done: (done += count), total });
    const samples: { sample: Sample; place: Place; width: number; height: number }[] = [];
    const taken = new Set<string>();
    for (const { shard, kind, entries, done: known } of found) {
      if (known !== undefined) tell(known.length);
      const findings = known ?? (await inspectAll(given, shard, kind, entries, tell, signal));
      if (known === undefined) {
        cache.put(shard.path, await stat(shard.file, { bigint: true }), findings, findings.length);
      }
      const classes = await classNames(shard.file, kind);
      for (const finding of findings) {
        const own = finding.name !== null && finding.name !== '' && !taken.has(finding.name);
        const path = own ? (finding.name as string) : `${shard.path}#${finding.index}`;
        if ('reason' in finding) {
          leftOut.push({ path, reason: finding.reason });
          continue;
        }
        taken.add(path);
        const { sha256, length, offset, bytes, width, height } = finding;
        const label = labelOf(finding, classes);
        const sample = { index: -1, path, sha256, bytes: length, label };
        const place = { file: shard.file, kind, offset, bytes };
        samples.push({ sample, place, width, height });
      }
    }
    await cache.save();
    if (samples.length === 0) throw noImages(given, leftOut);
    samples.sort((a, b) => comparePaths(a.sample.path, b.sample.path));
    leftOut.sort((a, b) => comparePaths(a.path, b.path));
    samples.forEach(({ sample }, place) => {
      sample.index = place;
    });
    places = Promise.resolve(new Map(samples.map(({ sample, place }) => [sample.path, place])));
    const list = samples.map(({ sample }) => sample);
    const shapes = Uint32Array.from(samples.flatMap(({ width, height }) => [width, height]));
    return { samples: list, leftOut, fingerprint: fingerprintOf(list), shapes };
  }

  /** Where each path lies; archives that are not here hold nothing. */
  async function placesNow(): Promise<Map<string, Place>> {
    places ??= index().then(
      () => places as Promise<Map<string, Place>>,
      (error: unknown) => {
        places = null;
        if (error instanceof Failure && ['data-missing', 'data-empty'].includes(error.code)) {
          return new Map<string, Place>();
        }
        throw error;
      },
    );
    return places;
  }

  async function read(sample: Sample): Promise<Uint8Array | null> {
    const place = (await placesNow()).get(sample.path);
    if (place === undefined) return null;
    try {
      const handle = await open(place.file, 'r');
      try {
        const raw = await readAt(handle, place.offset, place.bytes);
        const bytes = raw === null ? null : (place.kind.encoded?.(raw) ?? raw);
        return bytes !== null && sha256Of(bytes) === sample.sha256 ? bytes : null;
      } finally {
        await handle.close();
      }
    } catch (error) {
      if (['ENOENT', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')) return null;
      throw new Failure('disk', `Reading ${place.file}: ${messageOf(error)}. Check the disk.`, {
        cause: error,
      });
    }
  }

  return { index, read };
}

function noImages(given: string, leftOut: readonly LeftOut[]): Failure {
  const examples = leftOut.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
  const found =
    examples.length === 0 ? 'no record' : `${leftOut.length} left out: ${examples.join(', ')}`;
  return new Failure(
    'data-empty',
    `Expected images in the archives at ${given}; found ${found}. Check --data.`,
  );
}
