/**
 * What lies below a folder: the files that are images by their names, and all else with a reason.
 *
 * Symbolic links are followed as long as they stay inside; hidden names, pipes, names that are not
 * UTF-8 are left out. A file that may not be read is left out as well, but a disk that fails is an
 * error: data must not shrink in silence.
 */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Failure } from '../core/failures.ts';
import type { LeftOut } from '../core/sample.ts';
import { comparePaths } from './fingerprint.ts';

const folderDepthMax = 64;
/** Names of files, and of members of archives, that are images by their ending. */
export const imageName = /\.(jpe?g|png|webp|gif)$/i;

/** A file that may be an image: where it lies, and its path in the list. */
export interface Candidate {
  file: string;
  path: string;
}

/**
 * Every file below the root whose name is `wanted` (not null), by default images; and all others.
 */
export async function listFiles(
  folder: string,
  realRoot: string,
  signal: AbortSignal | undefined,
  wanted: (name: string) => string | null = imageByName,
): Promise<{ candidates: Candidate[]; leftOut: LeftOut[] }> {
  const byPath = new Map<string, Candidate>();
  const leftOut: LeftOut[] = [];

  async function walk(directory: string, prefix: string, above: readonly string[]): Promise<void> {
    throwIfAborted(folder, signal);
    const entries = await readdir(directory, { withFileTypes: true });
    // Of two names that are equal in NFC the first by bytes counts, whatever the disk's order.
    entries.sort((a, b) => comparePaths(a.name, b.name));
    for (const entry of entries) {
      const file = join(directory, entry.name);
      const path = prefix + entry.name.normalize('NFC');
      const leave = (reason: string): void => void leftOut.push({ path, reason });
      if (entry.name.startsWith('.')) {
        leave('hidden');
        continue;
      }
      if (entry.name.includes('\ufffd')) {
        leave('its name is not UTF-8');
        continue;
      }
      const kind = await kindOf(entry, file, realRoot);
      if (kind.is === 'nothing') leave(kind.reason);
      else if (kind.is === 'folder') {
        if (above.includes(kind.real)) leave('a symbolic link to a folder above it');
        else if (above.length >= folderDepthMax) leave(`below ${folderDepthMax} folders`);
        else await descend(file, path, [...above, kind.real], leave);
      } else if (wanted(entry.name) === null) leave(notWanted(entry.name));
      else if (byPath.has(path)) leave('the same name as another file, in another Unicode form');
      else byPath.set(path, { file, path });
    }
  }

  async function descend(
    file: string,
    path: string,
    above: readonly string[],
    leave: (reason: string) => void,
  ): Promise<void> {
    try {
      await walk(file, `${path}/`, above);
    } catch (error) {
      leave(unreadable(error, path));
    }
  }

  await walk(folder, '', [realRoot]);
  return { candidates: [...byPath.values()], leftOut };
}

const imageByName = (name: string): string | null => (imageName.test(name) ? 'image' : null);

/** The reason for a file that nobody wanted, with what to do where that is known. */
function notWanted(name: string): string {
  return /\.(tgz|zip|7z|rar|t(ar\.)?(gz|bz2|xz|zst))$/i.test(name)
    ? 'a compressed archive, which cannot be read by index: unpack it'
    : 'not an image by its name';
}

type Kind = { is: 'file' } | { is: 'folder'; real: string } | { is: 'nothing'; reason: string };

/** What a name stands for; symbolic links are followed as long as they stay inside the root. */
async function kindOf(entry: Dirent, file: string, realRoot: string): Promise<Kind> {
  if (entry.isFile()) return { is: 'file' };
  if (!entry.isDirectory() && !entry.isSymbolicLink()) {
    return { is: 'nothing', reason: 'neither a file nor a folder' };
  }
  try {
    const real = await realpath(file);
    if (!isWithin(real, realRoot)) {
      return { is: 'nothing', reason: 'a symbolic link that leads out of the folder' };
    }
    const target = await stat(real);
    if (target.isDirectory()) return { is: 'folder', real };
    if (target.isFile()) return { is: 'file' };
    return { is: 'nothing', reason: 'neither a file nor a folder' };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return { is: 'nothing', reason: 'a symbolic link to nothing' };
    }
    return { is: 'nothing', reason: unreadable(error, file) };
  }
}

/** The reason to leave a file out; a fault of the disk itself is thrown instead. */
export function unreadable(error: unknown, path: string): string {
  if (error instanceof Failure) throw error;
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it';
  if (code === 'ENOENT') return 'gone while indexing';
  if (code === 'ELOOP') return 'symbolic links in a circle';
  throw new Failure(
    'disk',
    `Reading ${path}: ${messageOf(error)}. Leaving it out would change the data: check the disk.`,
    { cause: error },
  );
}

/** Throws `interrupted` once the signal says so. */
export function throwIfAborted(folder: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new Failure('interrupted', `Indexing ${folder} was interrupted.`);
}

/** Whether a path without symbolic links is the root or below it. */
export function isWithin(real: string, realRoot: string): boolean {
  return real === realRoot || real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep);
}

/** The system's code of an error (`ENOENT`), if it has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** The first line of an error's message. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0]!.trim();
}
