/**
 * Drawn flowers as a dataset: samples with paths, bytes and hashes like any photograph's, made
 * when they are asked for.
 *
 * The file of a sample is a binary PPM. Its path names class and number (`rosette/000123.ppm`), so
 * the list sorts by class as a folder's would. Which flowers there are depends on the count alone,
 * never on the run's seed: a run with another seed trains on the same data.
 */
import { setImmediate } from 'node:timers/promises';
import { Failure } from '../core/failures.ts';
import type { Sample } from '../core/sample.ts';
import { syntheticImage, syntheticLabel } from '../core/synthetic.ts';
import type { Dataset, DatasetIndex, IndexProgress } from '../ports/dataset.ts';
import { encodePpm } from '../wire/ppm.ts';
import { comparePaths, fingerprintOf, sha256Of } from './fingerprint.ts';

export const syntheticCount = 1200;
/** Numbers in paths have six digits. */
export const syntheticCountMax = 1_000_000;
const syntheticSeed = 1;
const imagesBetweenBreaths = 8;

/** The first `count` drawn flowers. */
export function syntheticDataset(count: number = syntheticCount): Dataset {
  async function index(
    onProgress?: (progress: IndexProgress) => void,
    signal?: AbortSignal,
  ): Promise<DatasetIndex> {
    const samples: Sample[] = [];
    for (let number = 0; number < count; number++) {
      const bytes = fileOf(number);
      const label = syntheticLabel(number);
      const sha256 = sha256Of(bytes);
      samples.push({ index: -1, path: pathOf(number), sha256, bytes: bytes.length, label });
      onProgress?.({ done: number + 1, total: count });
      // Drawing is pure computation: timers, signals and sockets get their turn in between.
      if (number % imagesBetweenBreaths === 0) await setImmediate();
      if (signal?.aborted) throw new Failure('interrupted', 'Drawing flowers was interrupted.');
    }
    samples.sort((a, b) => comparePaths(a.path, b.path));
    for (const [place, sample] of samples.entries()) sample.index = place;
    return { samples, leftOut: [], fingerprint: fingerprintOf(samples) };
  }

  async function read(sample: Sample): Promise<Uint8Array | null> {
    const number = numberIn(sample.path);
    if (number === null || number >= count || pathOf(number) !== sample.path) return null;
    const bytes = fileOf(number);
    return sha256Of(bytes) === sample.sha256 ? bytes : null;
  }

  return { index, read };
}

/**
 * The count in `synthetic` or `synthetic:COUNT`; null where `data` names something else. Throws
 * `bad-option` where the count is no whole number from 1 to 1,000,000.
 */
export function parseSyntheticCount(data: string): number | null {
  if (data === 'synthetic') return syntheticCount;
  if (!data.startsWith('synthetic:')) return null;
  const written = data.slice('synthetic:'.length);
  const count = /^[0-9]{1,7}$/.test(written) ? Number(written) : 0;
  if (count < 1 || count > syntheticCountMax) {
    throw new Failure(
      'bad-option',
      `Expected --data synthetic:COUNT with a whole number from 1 to ${syntheticCountMax}; ` +
        `found ${data}. Try --data synthetic:${syntheticCount}.`,
    );
  }
  return count;
}

function fileOf(number: number): Uint8Array {
  return encodePpm(syntheticImage(syntheticSeed, number));
}

function pathOf(number: number): string {
  return `${syntheticLabel(number)}/${String(number).padStart(6, '0')}.ppm`;
}

function numberIn(path: string): number | null {
  const match = /\/([0-9]{6})\.ppm$/.exec(path);
  return match === null ? null : Number(match[1]);
}
