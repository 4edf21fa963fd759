/**
 * An append-only file of JSON lines that belongs to one generation of the coordinator.
 *
 * Opening it makes it this generation's own: the whole lines are copied to a new file that is
 * renamed over the old one. A coordinator of an older generation keeps a handle to the old file,
 * which no name leads to any more, so what it still appends is seen by nobody. A torn last line
 * (no newline: the process died while writing) is cut, and so is a last line that is not whole (its
 * end reached the disk before a power cut, and what stands before did not).
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../shared/adapters/durable.ts';
import { checkFence } from './run-folder.ts';

export interface JsonlFile {
  /** Appends whole lines in the order of the calls. Durable on return where `sync` is asked for. */
  append(line: string, options: { sync: boolean }): Promise<void>;
  /** Moves every line from number `keep` on to another file, durably; a crash leaves both whole. */
  moveTail(keep: number, aside: string): Promise<void>;
  close(): Promise<void>;
}

async function copyWholeLines(
  from: string,
  to: FileHandle,
  isWhole: (line: string) => boolean,
): Promise<void> {
  let source: FileHandle;
  try {
    source = await open(from, 'r');
  } catch {
    return;
  }
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    const { size } = await source.stat();
    // Find the last newline from the end: what follows it is torn.
    let end = size;
    for (let at = size; at > 0 && end === size; at -= buffer.length) {
      const start = Math.max(0, at - buffer.length);
      const { bytesRead } = await source.read(buffer, 0, at - start, start);
      const newline = buffer.subarray(0, bytesRead).lastIndexOf(10);
      if (newline >= 0) {
        end = start + newline + 1;
        break;
      }
      if (start === 0) end = 0;
    }
    const last = await lastLineStart(source, end);
    const line = Buffer.alloc(Math.max(0, end - 1 - last));
    await source.read(line, 0, line.length, last);
    if (line.length > 0 && !isWhole(line.toString())) end = last;
    for (let at = 0; at < end; ) {
      const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (bytesRead === 0) break;
      await to.writeFile(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await source.close();
  }
}

/** Where the line begins whose newline is the byte before `end`. */
async function lastLineStart(source: FileHandle, end: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(1 << 16);
  for (let at = end - 1; at > 0; at -= buffer.length) {
    const start = Math.max(0, at - buffer.length);
    await source.read(buffer, 0, at - start, start);
    const newline = buffer.subarray(0, at - start).lastIndexOf(10);
    if (newline >= 0) return start + newline + 1;
  }
  return 0;
}

/** Writes lines to a new file, durable on return; the handle stays open where it is asked for. */
async function writeLines(path: string, lines: AsyncIterable<string>): Promise<null>;
async function writeLines(
  path: string,
  lines: AsyncIterable<string>,
  keepOpen: true,
): Promise<FileHandle>;
async function writeLines(
  path: string,
  lines: AsyncIterable<string>,
  keepOpen = false,
): Promise<FileHandle | null> {
  const handle = await open(path, 'w');
  for await (const line of lines) await handle.writeFile(`${line}\n`);
  await handle.sync();
  if (keepOpen) return handle;
  await handle.close();
  await syncFolder(dirname(path));
  return null;
}

/** Takes the file over for a generation and opens it for appending; rejects with `fenced`. */
export async function openJsonl(
  path: string,
  generation: number,
  isWhole: (line: string) => boolean = () => true,
): Promise<JsonlFile> {
  const aside = `${path}.${generation}.tmp`;
  let handle = await open(aside, 'w');
  await copyWholeLines(path, handle, isWhole);
  await handle.sync();
  try {
    // Renaming over a newer generation's file would lose what that one appends.
    await checkFence(dirname(path), generation);
  } catch (error) {
    await handle.close();
    await rm(aside, { force: true });
    throw error;
  }
  await rename(aside, path);
  await syncFolder(dirname(path));
  let last: Promise<void> = Promise.resolve();
  return {
    append(line, { sync }) {
      const next = last.then(async () => {
        await handle.writeFile(`${line}\n`);
        if (sync) await handle.datasync();
      });
      last = next.catch(() => undefined);
      return next;
    },
    async moveTail(keep, tail) {
      await last;
      await writeLines(tail, readLines(path, keep));
      const next = await writeLines(aside, readLines(path, 0, keep), true);
      await checkFence(dirname(path), generation);
      await rename(aside, path);
      await syncFolder(dirname(path));
      await handle.close();
      handle = next;
    },
    async close() {
      await last;
      await handle.close();
    },
  };
}

/**
 * Every whole line of a file (those numbered from `from` to before `until`), or none where there is no file. Only a newline ends a line: texts of
 * peers may hold whatever else Unicode calls a line's end.
 */
export async function* readLines(
  path: string,
  from = 0,
  until = Number.POSITIVE_INFINITY,
): AsyncIterable<string> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch {
    return;
  }
  let rest = '';
  let number = 0;
  for await (const text of handle.createReadStream({ encoding: 'utf8' }) as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') continue;
      if (number >= until) return;
      if (number >= from) yield line;
      number += 1;
    }
  }
}
