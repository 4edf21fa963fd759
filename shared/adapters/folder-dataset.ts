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
import { constants } from 'node:fs';
import { access, open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { Failure } from '../core/failures.ts';
import type { LeftOut, Sample } from '../core/sample.ts';
import type { Dataset, DatasetIndex, IndexProgress } from '../ports/dataset.ts';
import { imageFormat, imageHeadBytes } from '../wire/image-format.ts';
import { comparePaths, fingerprintOf, sha256Of } from './fingerprint.ts';
import {
  type Candidate,
  codeOf,
  isWithin,
  listFiles,
  messageOf,
  throwIfAborted,
  unreadable,
} from './folder-walk.ts';

export const imagePixelsMax = 100_000_000;
/** An encoded image; it must fit in a worker's memory and cross the wire. */
export const imageBytesMax = 64 * 1024 * 1024;
const filesAtOnce = 8;
const hashBufferBytes = 256 * 1024;

/** The images below `root`. Nothing is touched before `index` or `read` is called. */
export function folderDataset(root: string): Dataset {
  const folder = resolve(root);
  /** Path in the list to path on disk, for the names that are not NFC there. */
  const onDisk = new Map<string, string>();

  async function index(
    onProgress?: (progress: IndexProgress) => void,
    signal?: AbortSignal,
  ): Promise<DatasetIndex> {
    const realRoot = await openRoot(folder);
    const { candidates, leftOut } = await listFiles(folder, realRoot, signal);
    const samples: Sample[] = [];
    let done = 0;
    await inLanes(candidates, filesAtOnce, async (candidate, buffer) => {
      throwIfAborted(folder, signal);
      const found = await inspect(candidate, buffer);
      if ('reason' in found) leftOut.push(found);
      else samples.push(found);
      onProgress?.({ done: ++done, total: candidates.length });
    });
    throwIfAborted(folder, signal);
    if (samples.length === 0) throw noImages(folder, leftOut);
    samples.sort((a, b) => comparePaths(a.path, b.path));
    leftOut.sort((a, b) => comparePaths(a.path, b.path));
    for (const [place, sample] of samples.entries()) sample.index = place;
    for (const { path, file } of candidates) {
      if (file !== join(folder, path)) onDisk.set(path, file);
    }
    return { samples, leftOut, fingerprint: fingerprintOf(samples) };
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
      'Give the folder that holds the images (archives must be unpacked first).',
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

/** Hash and header of a file: a sample (its index not set yet), or why it is none. */
async function inspect(candidate: Candidate, buffer: Buffer): Promise<Sample | LeftOut> {
  const { file, path } = candidate;
  const leave = (reason: string): LeftOut => ({ path, reason });
  let hashed: { sha256: string; bytes: number; head: Uint8Array };
  try {
    hashed = await hashFile(file, buffer);
  } catch (error) {
    return leave(unreadable(error, path));
  }
  if (hashed.bytes === 0) return leave('an empty file');
  if (hashed.bytes > imageBytesMax) return leave(`larger than ${imageBytesMax} bytes`);
  const format = imageFormat(hashed.head);
  if (format === null || format === 'ppm') {
    return leave('its first bytes are not those of a JPEG, PNG, WebP or GIF image');
  }
  try {
    // The limit is ours to state, so that the reason can name the size.
    const { width, height } = await sharp(file, {
      failOn: 'error',
      limitInputPixels: false,
    }).metadata();
    if (width * height > imagePixelsMax) {
      return leave(`${width} × ${height} pixels, more than ${imagePixelsMax}`);
    }
  } catch (error) {
    return leave(`its header does not read as ${format}: ${messageOf(error)}`);
  }
  const { sha256, bytes } = hashed;
  return { index: -1, path, sha256, bytes, label: labelOf(path) };
}

/** The class of an image: the first folder of its path, or null where it lies in the root. */
function labelOf(path: string): string | null {
  const slash = path.indexOf('/');
  return slash < 0 ? null : path.slice(0, slash);
}

/** Streams a file through SHA-256; stops one byte past the size limit. */
async function hashFile(
  file: string,
  buffer: Buffer,
): Promise<{ sha256: string; bytes: number; head: Uint8Array }> {
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
    return { sha256: hash.digest('hex'), bytes, head };
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

/** Runs `work` over all items, `lanes` at a time, each lane with a buffer of its own. */
async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  work: (item: T, buffer: Buffer) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafe(hashBufferBytes);
    while (next < items.length && !failed) {
      try {
        await work(items[next++]!, buffer);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP'].includes(codeOf(error) ?? '');
}
