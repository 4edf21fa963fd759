/**
 * The names of a file of which each generation of the coordinator has its own: `ledger.jsonl.3` is
 * the third one's, `ledger.jsonl` a hard link to the newest. What a generation wrote nobody writes
 * over, however long a coordinator stood still between two operations.
 */
import { link, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { noLinks } from '../../shared/adapters/durable.ts';
import type { NumberOf } from './line-parts.ts';

/** The generations that have a file of this name, newest first. */
export async function generationsOf(path: string): Promise<number[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path));
  return names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a);
}

/**
 * The file to go on from. The plain name may lead to another file than the newest: to an older copy,
 * put there by a life that stood still, which the newest goes on from; or to what a person has put
 * there, which counts.
 */
export async function sourceOf(
  path: string,
  newest: number | undefined,
  numberOf: NumberOf,
): Promise<string> {
  if (newest === undefined) return path;
  const own = `${path}.${newest}`;
  const [mine, plain] = await Promise.all([own, path].map((one) => stat(one).catch(() => null)));
  if (!mine || !plain || (mine.ino === plain.ino && mine.dev === plain.dev)) return own;
  const [ours, theirs] = await Promise.all([readFile(own), readFile(path)]);
  return goesOnFrom(ours, theirs, numberOf) ? own : path;
}

/** Is one file what became of an older copy: longer, and without the lines that were closed since? */
function goesOnFrom(file: Buffer, copy: Buffer, numberOf: NumberOf): boolean {
  if (file.subarray(0, copy.length).equals(copy)) return true;
  const first = file.subarray(0, file.indexOf(10) + 1);
  const begin = numberOf(first.toString());
  if (begin === null) return false;
  // What the copy has before it, or all of it, was closed since then.
  const at = copy.indexOf(first);
  const end = lastNumber(at < 0 ? copy : copy.subarray(0, at), numberOf);
  if (at < 0) return end !== null && end < begin;
  return end === begin - 1 && file.subarray(0, copy.length - at).equals(copy.subarray(at));
}

function lastNumber(bytes: Buffer, numberOf: NumberOf): number | null {
  const end = bytes.lastIndexOf(10);
  const start = end < 1 ? -1 : bytes.lastIndexOf(10, end - 1);
  return end < 0 ? null : numberOf(bytes.toString('utf8', start + 1, end));
}

/**
 * Makes `path` a name of the newest generation's file: its only one where there are no hard links,
 * which is as safe but for a coordinator that stands still just before this rename.
 */
export async function nameNewest(path: string, generation: number): Promise<string> {
  for (;;) {
    const [newest] = await generationsOf(path);
    const own = `${path}.${newest}`;
    const second = `${path}.${generation}.link`;
    await rm(second, { force: true });
    try {
      await link(own, second);
    } catch (error) {
      if (!noLinks.includes((error as NodeJS.ErrnoException).code)) throw error;
      await rename(own, path);
      return path;
    }
    await rename(second, path);
    // Where both were names of that file already, the rename did nothing.
    await rm(second, { force: true });
    // A newer one since then: this one may have taken the name back from it.
    if ((await generationsOf(path))[0] === newest) return own;
  }
}
