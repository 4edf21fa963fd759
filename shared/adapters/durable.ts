/**
 * Files that survive: written aside, fsynced, renamed, and the folder fsynced after the rename.
 */
import { access, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it, each name durable. Not `mkdir`'s own `recursive`: where a file system answers
 * "nothing there" to making a folder (/proc does), Node tries for ever.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
    await syncFolder(dirname(path));
    return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    const above = dirname(path);
    const isThere = above === path || (await stat(above).catch(() => null)) !== null;
    if (code !== 'ENOENT' || isThere) throw error;
    await makeFolder(above);
  }
  await makeFolder(path);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What file systems without hard links answer. */
export const noLinks: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

let replaced = 0;

/**
 * Makes a small file as a whole, unless one is there by then: true where it was made. Without hard
 * links the look and the rename are two operations.
 */
export async function createFile(path: string, text: string): Promise<boolean> {
  replaced += 1;
  const aside = `${path}.${process.pid}.${replaced}.tmp`;
  await replaceFile(aside, text);
  try {
    await link(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return false;
    if (!noLinks.includes(code)) throw error;
    await rename(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
  await syncFolder(dirname(path));
  return true;
}

/**
 * Replaces a small file as a whole: a reader sees the old bytes or the new ones, and of two writers
 * at once the one that ends last has its way. Where `allowed` rejects, the file stays as it is: it
 * is asked last, when only the rename is left to do.
 */
export async function replaceFile(
  path: string,
  text: string,
  allowed: () => Promise<void> = async () => undefined,
): Promise<void> {
  replaced += 1;
  const aside = `${path}.${process.pid}.${replaced}.tmp`;
  const handle = await open(aside, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await allowed();
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await rename(aside, path);
  await syncFolder(dirname(path));
}
