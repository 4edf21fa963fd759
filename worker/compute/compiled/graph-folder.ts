/**
 * Graphs on disk, where TensorFlow's C API wants them: a folder each, named by the SHA-256 of its
 * bytes. Written aside and renamed, so that processes that start together can share the folder.
 *
 * A graph is code: one that is there already is used only if its bytes are those just made.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const fileName = 'saved_model.pb';

/** Where graphs are kept unless told otherwise: the user's cache. */
export function defaultGraphFolder(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'tandem', 'graphs');
}

/** Keeps a graph's bytes; returns its folder. Where `folder` can't be written: a temporary one. */
export function keepGraph(bytes: Uint8Array, folder: string): string {
  const kept = join(folder, createHash('sha256').update(bytes).digest('hex'));
  if (holds(kept, bytes)) return kept;
  let aside: string;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    aside = mkdtempSync(join(folder, 'writing-'));
  } catch {
    // A read-only home, as in a hardened container. The system clears its temporary folder.
    return writeGraph(mkdtempSync(join(tmpdir(), 'tandem-graph-')), bytes);
  }
  writeGraph(aside, bytes);
  rmSync(kept, { recursive: true, force: true }); // there, then it was damaged
  try {
    renameSync(aside, kept);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!holds(kept, bytes)) throw error; // else another process was first
  }
  return kept;
}

function writeGraph(folder: string, bytes: Uint8Array): string {
  mkdirSync(join(folder, 'variables')); // none, but the loader looks for it
  writeFileSync(join(folder, fileName), bytes);
  return folder;
}

function holds(folder: string, bytes: Uint8Array): boolean {
  try {
    return readFileSync(join(folder, fileName)).equals(bytes);
  } catch {
    return false;
  }
}
