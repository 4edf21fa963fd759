/**
 * Files that survive: written aside, fsynced, renamed, and the folder fsynced after the rename.
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

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
