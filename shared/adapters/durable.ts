/**
 * Files that survive: written aside, fsynced, renamed, and the folder fsynced after the rename.
 */
import { open, rename } from 'node:fs/promises';
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
