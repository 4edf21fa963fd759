/**
 * Parts: the older lines of `ledger.jsonl` and `events.jsonl`, compressed, each part a gzip file of
 * whole lines in `parts/`, named after the numbers of its first and last line and the generation that
 * closed it (`ledger.000000000-000004095.3.jsonl.gz`). What is read of parts and file, one after the
 * other, has the bytes that the file alone would have.
 *
 * The file decides: a part counts where it ends right before the file's first line, or right before a
 * part that counts, and of two that end there the one of the later generation. Each life's parts begin
 * where its file began when it took over, so what a coordinator that was overtaken still closes never
 * counts. A part that does not unpack gives no line from there on; who reads finds a number missing.
 */
import { createReadStream } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { syncFolder } from '../../shared/adapters/durable.ts';
import { readLines } from './jsonl-lines.ts';

/** The number of a line, or null where the line is damaged and holds none. */
export type NumberOf = (line: string) => number | null;

const numberBy = (pattern: RegExp): NumberOf => {
  return (line) => {
    const found = pattern.exec(line)?.[1];
    return found === undefined ? null : Number(found);
  };
};

/** A record's step; its other fields are hashes and numbers, so the word stands there once. */
export const recordNumber: NumberOf = numberBy(/"step":(\d{1,15})[,}]/);
/** An event's `seq`, the first field of its line. */
export const eventNumber: NumberOf = numberBy(/^\{"seq":(\d{1,15}),/);

export interface Part {
  path: string;
  first: number;
  last: number;
  generation: number;
}

/** Where the parts of a file lie. */
export const partsFolder = (file: string): string => join(dirname(file), 'parts');
/** `ledger` of `ledger.jsonl`. */
export const stemOf = (file: string): string => basename(file).replace(/\.jsonl$/, '');

/** Every part of a file that lies there, whether it counts or not. */
export async function partsOf(file: string): Promise<Part[]> {
  const names = await readdir(partsFolder(file)).catch(() => []);
  return names.flatMap((name) => {
    const [whole, stem, first, last, generation] =
      /^(\w+)\.(\d+)-(\d+)\.(\d+)\.jsonl\.gz$/.exec(name) ?? [];
    if (whole === undefined || stem !== stemOf(file)) return [];
    const path = join(partsFolder(file), name);
    return [{ path, first: Number(first), last: Number(last), generation: Number(generation) }];
  });
}

/** The parts that count before a file whose first line has the number `until`, oldest first. */
export function countingParts(all: readonly Part[], until: number): Part[] {
  const chain: Part[] = [];
  for (let need = until; ; need = chain[0]?.first ?? 0) {
    const [best] = all
      .filter(({ first, last }) => last === need - 1 && first <= last)
      .sort((a, b) => b.generation - a.generation);
    if (best === undefined) return chain;
    chain.unshift(best);
  }
}

async function* linesIn(path: string): AsyncIterable<string> {
  let rest = '';
  const source = createReadStream(path);
  const unpacked = createGunzip();
  source.on('error', (error) => unpacked.destroy(error));
  source.pipe(unpacked).setEncoding('utf8');
  try {
    for await (const text of unpacked as AsyncIterable<string>) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield line;
    }
  } catch {
    // Damaged, or gone: the numbers that are missing tell.
  } finally {
    source.destroy();
  }
}

/** Lines of the parts that count, from number `from` on, up to the file's first number. */
export async function* readParts(
  file: string,
  numberOf: NumberOf,
  from: number,
  until: number,
): AsyncIterable<string> {
  const parts = countingParts(await partsOf(file), until);
  for (const { path, last } of parts) {
    if (last < from) continue;
    for await (const line of linesIn(path)) {
      const number = numberOf(line);
      if (number === null || number >= from) yield line;
    }
  }
}

/**
 * Every whole line of a file and of the parts before it, from number `from` on; none where there is
 * neither. The file is opened first, so what is closed meanwhile is read all the same. Where `file` is
 * a generation's, `plainName` is the name by which its parts go.
 */
export async function* readNumberedLines(
  file: string,
  numberOf: NumberOf,
  from = 0,
  plainName = file,
): AsyncIterable<string> {
  let begun = false;
  for await (const line of readLines(file)) {
    const number = numberOf(line);
    if (!begun && number !== null) {
      begun = true;
      if (number > from) yield* readParts(plainName, numberOf, from, number);
    }
    if (number === null || number >= from) yield line;
  }
}

/** Removes parts of generations up to this one that begin at `since` or later: the file has them. */
export async function removeParts(file: string, since: number, generation: number): Promise<void> {
  const gone = (await partsOf(file)).filter(
    (part) => part.first >= since && part.generation <= generation,
  );
  for (const { path } of gone) await rm(path, { force: true });
  if (gone.length > 0) await syncFolder(partsFolder(file));
}
