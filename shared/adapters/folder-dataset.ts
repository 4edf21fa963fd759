/**
 * A folder of photographs as a dataset: every image below it, in bytewise order of its path, with
 * the first folder as its class.
 *
 * Indexing reads each file once for its SHA-256 and asks sharp for the header only; whether the
 * pixels decode shows itself later, at the workers. What is no image, hidden, too large, or leads
 * out of the folder is left out with a reason. Names on disk may be in any Unicode form (macOS
 * writes NFD); a sample's path is NFC. Reading checks the hash, so a changed file is no sample.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { access, open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '../core/failures.ts';
import type { LeftOut, Sample } from '../core/sample.ts';
import type { Dataset, DatasetIndex, IndexProgress } from '../ports/dataset.ts';
import { imageHeadBytes } from '../wire/image-format.ts';
import { comparePaths, fingerprintOf, sha256Of } from './fingerprint.ts';
import {
  codeOf,
  isWithin,
  listFiles,
  messageOf,
  throwIfAborted,
  unreadable,
} from './folder-walk.ts';
import { folderLabel, imageBytesMax, imageShape } from './image-header.ts';
import { indexCacheFolder, openIndexCache } from './index-cache.ts';
import { inLanes } from './lanes.ts';

const filesAtOnce = 8;
const hashBufferBytes = 256 * 1024;

/** What was found of a file; kept in the cache as it is. */
type Finding = { sha256: string; bytes: number; width: number; height: number } | Left;
type Left = { reason: string };

/** The images below `root`. Nothing is touched before `index` or `read` is called. */
export function folderDataset(
  root: string,
  cacheFolder: string | null = indexCacheFolder,
): Dataset {
  const folder = resolve(root);
  /** Path in the list to path on disk, for the names that are not NFC there. */
  const onDisk = new Map<string, string>();

  async function index(
    onProgress?: (progress: IndexProgress) => void,
    signal?: AbortSignal,
  ): Promise<DatasetIndex> {
    const realRoot = await openRoot(folder);
    const { candidates, leftOut } = await listFiles(folder, realRoot, signal);
    const cache = await openIndexCache(cacheFolder, realRoot, 'folder');
    const found: { sample: Sample; width: number; height: number }[] = [];
    const buffers = Array.from({ length: filesAtOnce }, () => Buffer.allocUnsafe(hashBufferBytes));
    const total = candidates.length;
    let done = 0;
    await inLanes(candidates, filesAtOnce, async ({ file, path }, lane) => {
      throwIfAborted(folder, signal);
      const finding = await findingOf(file, path, buffers[lane]!, cache);
      if ('reason' in finding) leftOut.push({ path, reason: finding.reason });
      else {
        const { sha256, bytes, width, height } = finding;
        const sample = { index: -1, path, sha256, bytes, label: folderLabel(path) };
        found.push({ sample, width, height });
      }
      onProgress?.({ done: ++done, total });
    });
    throwIfAborted(folder, signal);
    await cache.save();
    if (found.length === 0) throw noImages(folder, leftOut);
    found.sort((a, b) => comparePaths(a.sample.path, b.sample.path));
    leftOut.sort((a, b) => comparePaths(a.path, b.path));
    found.forEach(({ sample }, place) => {
      sample.index = place;
    });
    for (const { path, file } of candidates) {
      if (file !== join(folder, path)) onDisk.set(path, file);
    }
    const samples = found.map(({ sample }) => sample);
    const shapes = Uint32Array.from(found.flatMap(({ width, height }) => [width, height]));
    return { samples, leftOut, fingerprint: fingerprintOf(samples), shapes };
  }

  async function read(sample: Sample): Promise<Uint8Array | null> {
    // The list may come from another machine: a path may only lead down.
    if (sample.path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      return null;
    }
    const file = onDisk.get(sample.path) ?? (await findOnDisk(folder, sample.path));
    if (file === null) return null;
    onDisk.set(sample.path, file);
    return readHashed(folder, file, sample);
  }

  return { index, read };
}

/** The root without symbolic links; a Failure where it is no folder that can be read. */
async function openRoot(folder: string): Promise<string> {
  try {
    if ((await stat(folder)).isDirectory()) {
      await access(folder, constants.R_OK | constants.X_OK);
      return await realpath(folder);
    }
  } catch (error) {
    const found = codeOf(error) === 'ENOENT' ? 'nothing there' : messageOf(error);
    throw new Failure(
      'data-missing',
      `Expected a folder of images at ${folder}; found ${found}. ` +
        'Check the path given as --data, or use --data synthetic for drawn flowers.',
      { cause: error },
    );
  }
  throw new Failure(
    'data-missing',
    `Expected a folder of images at ${folder}; found a file. ` +
      'Give the folder that holds the images, or an archive: .tar, .tfrecord, or a .bin of CIFAR.',
  );
}

function noImages(folder: string, leftOut: readonly LeftOut[]): Failure {
  const examples = leftOut.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
  const found =
    leftOut.length === 0
      ? 'an empty folder'
      : `no image among ${leftOut.length} ${leftOut.length === 1 ? 'entry' : 'entries'}: ` +
        examples.join(', ') +
        (leftOut.length > 3 ? ', …' : '');
  return new Failure(
    'data-empty',
    `Expected .jpg, .jpeg, .png, .webp or .gif images in ${folder} or folders below it; ` +
      `found ${found}. Check the path given as --data.`,
  );
}

/** What the cache knows of a file, else its hash and header. */
async function findingOf(
  file: string,
  path: string,
  buffer: Buffer,
  cache: Awaited<ReturnType<typeof openIndexCache>>,
): Promise<Finding> {
  let stats: BigIntStats;
  try {
    stats = await stat(file, { bigint: true });
    const known = cache.get(path, stats);
    if (isFinding(known)) return known;
    const finding = await inspect(file, buffer);
    cache.put(path, stats, finding, 1);
    return finding;
  } catch (error) {
    return { reason: unreadable(error, path) };
  }
}

function isFinding(value: unknown): value is Finding {
  const { reason, sha256, bytes, width, height } = (value ?? {}) as Record<string, unknown>;
  const whole = [bytes, width, height].every(Number.isSafeInteger);
  return (
    typeof reason === 'string' ||
    (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) && whole)
  );
}

/** Hash and header of a file, or why it is no sample. Rejects where it cannot be read. */
async function inspect(file: string, buffer: Buffer): Promise<Finding> {
  const { sha256, bytes, head, whole } = await hashFile(file, buffer);
  if (bytes === 0) return { reason: 'an empty file' };
  if (bytes > imageBytesMax) return { reason: `larger than ${imageBytesMax} bytes` };
  const shape = await imageShape(head, whole ?? file);
  return 'reason' in shape ? shape : { sha256, bytes, ...shape };
}

interface Hashed {
  sha256: string;
  bytes: number;
  head: Uint8Array;
  /** The file, where it fits into the buffer; holds until the buffer is used again. */
  whole: Uint8Array | null;
}

/** Streams a file through SHA-256; stops one byte past the size limit. */
async function hashFile(file: string, buffer: Buffer): Promise<Hashed> {
  // Without O_NONBLOCK a pipe put in the file's place would hold the lane for ever.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    let head: Uint8Array = new Uint8Array(0);
    while (bytes <= imageBytesMax) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, bytes);
      if (bytesRead === 0) break;
      if (bytes === 0) head = Uint8Array.from(buffer.subarray(0, imageHeadBytes));
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
    const whole = bytes <= buffer.length ? buffer.subarray(0, bytes) : null;
    return { sha256: hash.digest('hex'), bytes, head, whole };
  } finally {
    await handle.close();
  }
}

/** The bytes of a file where they are the sample's, else null. */
async function readHashed(
  folder: string,
  file: string,
  sample: Sample,
): Promise<Uint8Array | null> {
  try {
    const real = await realpath(file);
    if (!isWithin(real, await realpath(folder))) return null;
    const found = await stat(real);
    if (!found.isFile() || found.size !== sample.bytes || found.size > imageBytesMax) return null;
    const bytes = await readFile(real);
    return sha256Of(bytes) === sample.sha256 ? bytes : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw new Failure('disk', `Reading ${file}: ${messageOf(error)}. Check the disk.`, {
      cause: error,
    });
  }
}

/** Where the NFC path lies on disk, whatever Unicode form its names have there; null: nowhere. */
async function findOnDisk(folder: string, path: string): Promise<string | null> {
  let at = folder;
  for (const part of path.split('/')) {
    // Names of ASCII have one form only.
    const name = isAscii(part) ? part : await nameOnDisk(at, part);
    if (name === null) return null;
    at = join(at, name);
  }
  return at;
}

async function nameOnDisk(directory: string, name: string): Promise<string | null> {
  try {
    const names = (await readdir(directory)).sort(comparePaths);
    return names.find((found) => found.normalize('NFC') === name) ?? null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP'].includes(codeOf(error) ?? '');
}
