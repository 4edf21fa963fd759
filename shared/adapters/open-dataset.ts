/**
 * What `--data` names: `synthetic`, `synthetic:COUNT`, or a folder of images.
 *
 * A folder that happens to be called `synthetic` is still to be had as `./synthetic`.
 */
import type { Dataset } from '../ports/dataset.ts';
import { folderDataset } from './folder-dataset.ts';
import { parseSyntheticCount, syntheticDataset } from './synthetic-dataset.ts';

/** The dataset that `data` names. Throws `bad-option` for a count that is none. */
export function openDataset(data: string): Dataset {
  const count = parseSyntheticCount(data);
  return count === null ? folderDataset(data) : syntheticDataset(count);
}
