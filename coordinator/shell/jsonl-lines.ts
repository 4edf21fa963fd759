/**
 * Lines of JSON in files: read in pieces of bounded size, copied without a torn end.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../shared/adapters/durable.ts';

/** No file at all; one that cannot be read is no empty one. */
const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/**
 * Copies a file's whole lines and gives their bytes; a last line that is torn, or not whole by
 * `isWhole`, is left out.
 */
export async function copyWholeLines(
  from: string,
  to: FileHandle,
  isWhole: (line: string) => boolean,
): Promise<number> {
  let source: FileHandle;
  try {
    source = await open(from, 'r');
  } catch (error) {
    if (isAbsent(error)) return 0;
    throw error;
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
    return end;
  } finally {
    await source.close();
  }
}

/** Writes bytes [from, until) of a file to a new one, durable on return; its handle stays open. */
export async function copyTail(
  source: FileHandle,
  from: number,
  until: number,
  path: string,
): Promise<FileHandle> {
  const handle = await open(path, 'w');
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let at = from; at < until; ) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, until - at), at);
    if (bytesRead === 0) break;
    await handle.writeFile(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  await handle.sync();
  return handle;
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
export async function writeLines(path: string, lines: AsyncIterable<string>): Promise<null>;
export async function writeLines(
  path: string,
  lines: AsyncIterable<string>,
  keepOpen: true,
): Promise<FileHandle>;
export async function writeLines(
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
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
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
