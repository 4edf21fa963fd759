/**
 * What `--data` names: `synthetic`, `synthetic:COUNT`, a folder of images, a folder of archives, or
 * one archive.
 *
 * Archives beside loose images are left out (a backup is no data): a folder counts as archives only
 * where no image lies in it. A folder that happens to be called `synthetic` is still to be had as
 * `./synthetic`.
 */
import { opendir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Dataset } from '../ports/dataset.ts';
import { archiveDataset } from './archive-dataset.ts';
import { folderDataset } from './folder-dataset.ts';
import { imageName } from './folder-walk.ts';
import { indexCacheFolder } from './index-cache.ts';
import { shardKindOf } from './shards.ts';
import { parseSyntheticCount, syntheticDataset } from './synthetic-dataset.ts';

const foldersMax = 10_000;

/**
 * The dataset that `data` names; nothing is touched before it is indexed or read. Throws
 * `bad-option` for a count that is none.
 */
export function openDataset(data: string, cache: string | null = indexCacheFolder): Dataset {
  const count = parseSyntheticCount(data);
  if (count !== null) return syntheticDataset(count);
  const root = resolve(data);
  let chosen: Promise<Dataset> | null = null;
  const choose = (): Promise<Dataset> => {
    chosen ??= holdsArchives(root).then((archives) =>
      archives ? archiveDataset(root, cache) : folderDataset(root, cache),
    );
    return chosen;
  };
  return {
    index: async (onProgress, signal) => (await choose()).index(onProgress, signal),
    read: async (sample) => (await choose()).read(sample),
  };
}

/** Whether these are archives: looks until it meets an image. */
export async function holdsArchives(root: string): Promise<boolean> {
  try {
    if ((await stat(root)).isFile()) return shardKindOf(root) !== null;
  } catch {
    return false;
  }
  let found = false;
  let folders = 0;
  /** True once an image lies somewhere. */
  async function search(folder: string): Promise<boolean> {
    if (++folders > foldersMax) return true;
    const below: string[] = [];
    try {
      for await (const entry of await opendir(folder)) {
        if (entry.name.startsWith('.')) continue;
        if (imageName.test(entry.name)) return true;
        if (entry.isDirectory()) below.push(join(folder, entry.name));
        else if (shardKindOf(entry.name) !== null) found = true;
      }
    } catch {
      // What cannot be looked at is the index's to judge.
    }
    for (const next of below) if (await search(next)) return true;
    return false;
  }
  return !(await search(root)) && found;
}
