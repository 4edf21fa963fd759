/**
 * `--data`, looked at before anything starts: there must be something that can be a data set.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { shardKindOf } from '../shared/adapters/shards.ts';
import { parseSyntheticCount } from '../shared/adapters/synthetic-dataset.ts';
import type { Config } from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';

/**
 * The config with data that is there; a folder's path made absolute, so that a resume finds it
 * from anywhere. Throws `bad-option` or `data-missing`.
 */
export function withData(config: Config): Config & { data: string } {
  const { data } = config;
  if (data === null) {
    throw new Failure(
      'bad-option',
      'say what to train on: --data DIR (a folder of images) or --data synthetic.',
    );
  }
  if (parseSyntheticCount(data) !== null) return { ...config, data };
  const stat = statSync(data, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new Failure('data-missing', `there is no folder ${data}: check --data.`);
  }
  if (!stat.isDirectory() && shardKindOf(data) === null) {
    throw new Failure(
      'data-missing',
      `--data expects a folder of images, and ${data} is a file that is no archive of a known ` +
        'kind (.tar, .tfrecord, or a .bin of CIFAR).',
    );
  }
  return { ...config, data: resolve(data) };
}
