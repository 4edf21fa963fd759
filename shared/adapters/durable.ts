/**
 * Files that survive: written aside, fsynced, renamed, and the folder fsynced after the rename.
 */
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it. Not `mkdir`'s own `recursive`: where a file system answers
 * "nothing there" to making a folder (/proc does), Node tries for ever.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
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

let replaced = 0;

/**
 * Replaces a small file as a whole: a reader sees the old bytes or the new ones, and of two writers
 * at once the one that ends last has its way.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  replaced += 1;
  const aside = `${path}.${process.pid}.${replaced}.tmp`;
  const handle = await open(aside, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, path);
  await syncFolder(dirname(path));
}
