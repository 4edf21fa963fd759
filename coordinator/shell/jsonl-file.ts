/**
 * An append-only file of JSON lines that belongs to one generation of the coordinator.
 *
 * Each generation has a file of its own name, `ledger.jsonl.3`: opening it copies the whole lines of
 * the newest one before, so nobody ever writes over what a newer generation has appended, however
 * long it stood still between two operations. `ledger.jsonl` is a second name (a hard link) of the
 * newest. A torn last line (no newline: the process died while writing) is cut, and so is a last line
 * that is not whole (its end reached the disk before a power cut, and what stands before did not).
 *
 * Where lines have numbers, the older ones can be closed: moved to a compressed part beside the file
 * (`line-parts.ts`), while appending goes on.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../shared/adapters/durable.ts';
import { generationsOf, nameNewest, sourceOf } from './generation-names.ts';
import { copyTail, copyWholeLines, readLines, writeLines } from './jsonl-lines.ts';
import {
  type NumberOf,
  readNumberedLines,
  readParts,
  removeParts,
  partsOf,
  countingParts,
} from './line-parts.ts';
import { checkFence } from './run-folder.ts';
import { writePart } from './write-part.ts';

export interface JsonlFile {
  /** Where this generation's lines are. */
  readonly path: string;
  /** Appends whole lines in the order of the calls. Durable on return where `sync` is asked for. */
  append(line: string, options: { sync: boolean }): Promise<void>;
  /** Bytes of the lines that are in no part. */
  readonly bytes: number;
  /** Every line from number `from` on, those of parts first. */
  lines(from?: number): AsyncIterable<string>;
  /**
   * Moves lines with numbers below `until` to a part; the newest line stays. A crash leaves each line
   * in the part or in the file, or in both, and a reader sees it once.
   */
  closePart(until: number): Promise<void>;
  /** Moves every line from number `keep` on to another file, durably; a crash leaves both whole. */
  moveTail(keep: number, aside: string): Promise<void>;
  close(): Promise<void>;
}

export interface JsonlOptions {
  /** Is this last line one that was written whole? */
  isWhole?: (line: string) => boolean;
  /** Without numbers there are no parts, and `moveTail` counts lines. */
  numberOf?: NumberOf;
}

/** Takes the file over for a generation and opens it for appending; rejects with `fenced`. */
export async function openJsonl(
  path: string,
  generation: number,
  { isWhole = () => true, numberOf = () => null }: JsonlOptions = {},
): Promise<JsonlFile> {
  try {
    return await takeOver(path, generation, isWhole, numberOf);
  } catch (error) {
    // A newer life removes the files of older ones: then that is why, whatever was missing.
    await checkFence(dirname(path), generation);
    throw error;
  }
}

async function takeOver(
  path: string,
  generation: number,
  isWhole: (line: string) => boolean,
  numberOf: NumberOf,
): Promise<JsonlFile> {
  const own = `${path}.${generation}`;
  const aside = `${own}.tmp`;
  const before = (await generationsOf(path)).filter((other) => other < generation);
  let handle = await open(aside, 'w');
  let bytes = 0;
  try {
    bytes = await copyWholeLines(await sourceOf(path, before[0], numberOf), handle, isWhole);
    await handle.sync();
    await checkFence(dirname(path), generation);
  } catch (error) {
    await handle.close();
    await rm(aside, { force: true });
    throw error;
  }
  await rename(aside, own);
  const named = await nameNewest(path, generation);
  await syncFolder(dirname(path));
  for (const other of before) await rm(`${path}.${other}`, { force: true });
  let last: Promise<void> = Promise.resolve();
  /** Work on parts, one piece at a time; appends go on beside it. */
  let onParts: Promise<void> = Promise.resolve();

  /** Number of the file's first line; 0 where it has none. */
  async function firstNumber(): Promise<number> {
    for await (const line of readLines(named)) {
      const number = numberOf(line);
      if (number !== null) return number;
    }
    return 0;
  }

  /** Puts a file that was written aside in our file's place, under both of its names. */
  async function replaceOwn(next: FileHandle): Promise<void> {
    await checkFence(dirname(path), generation);
    await rename(aside, named);
    if (named === own) await nameNewest(path, generation);
    await syncFolder(dirname(path));
    await handle.close();
    handle = next;
    bytes = (await next.stat()).size;
  }

  /** Runs `work` between two appends; the next ones wait for it. */
  function betweenAppends(work: () => Promise<void>): Promise<void> {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  }

  function afterParts(work: () => Promise<void>): Promise<void> {
    const next = onParts.then(work);
    onParts = next.catch(() => undefined);
    return next;
  }

  async function close(until: number): Promise<void> {
    const source = await open(named, 'r');
    try {
      const closed = await writePart(path, source, generation, numberOf, until);
      if (closed === null) return;
      await betweenAppends(async () => {
        const { size } = await source.stat();
        if (closed.bytes >= size) return;
        await replaceOwn(await copyTail(source, closed.bytes, size, aside));
      });
    } finally {
      await source.close();
    }
  }

  /** Takes the lines of the part that holds a number, and of all later ones, back into the file. */
  async function reopen(number: number): Promise<void> {
    const first = await firstNumber();
    if (number >= first) return;
    const parts = countingParts(await partsOf(path), first);
    const since = parts.find((part) => part.last >= number)?.first;
    if (since === undefined) return;
    async function* lines(): AsyncIterable<string> {
      yield* readParts(path, numberOf, since ?? first, first);
      yield* readLines(named);
    }
    await replaceOwn(await writeLines(aside, lines(), true));
    await removeParts(path, since, generation);
  }

  return {
    path: named,
    get bytes() {
      return bytes;
    },
    lines: (from = 0) => readNumberedLines(named, numberOf, from, path),
    append(line, { sync }) {
      return betweenAppends(async () => {
        await handle.writeFile(`${line}\n`);
        bytes += Buffer.byteLength(line) + 1;
        if (sync) await handle.datasync();
      });
    },
    closePart: (until) => afterParts(() => close(until)),
    moveTail: (keep, tail) =>
      afterParts(async () => {
        await last;
        // The line before stays in the file: parts count up to its first line, and it must have one.
        await reopen(Math.max(0, keep - 1));
        const kept = keep - (await firstNumber());
        await writeLines(tail, readLines(named, kept));
        await replaceOwn(await writeLines(aside, readLines(named, 0, kept), true));
      }),
    async close() {
      await onParts;
      await last;
      await handle.close();
    },
  };
}
