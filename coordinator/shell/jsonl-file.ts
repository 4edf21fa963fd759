/**
 * An append-only file of JSON lines that belongs to one generation of the coordinator.
 *
 * Each generation has a file of its own name, `ledger.jsonl.3`: opening it copies the whole lines of
 * the newest one before, so nobody ever writes over what a newer generation has appended, however
 * long it stood still between two operations. `ledger.jsonl` is a second name (a hard link) of the
 * newest. A torn last line (no newline: the process died while writing) is cut, and so is a last line
 * that is not whole (its end reached the disk before a power cut, and what stands before did not).
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../shared/adapters/durable.ts';
import { generationsOf, nameNewest, sourceOf } from './generation-names.ts';
import { copyWholeLines, readLines, writeLines } from './jsonl-lines.ts';
import { checkFence } from './run-folder.ts';

export interface JsonlFile {
  /** Where this generation's lines are. */
  readonly path: string;
  /** Appends whole lines in the order of the calls. Durable on return where `sync` is asked for. */
  append(line: string, options: { sync: boolean }): Promise<void>;
  /** Moves every line from number `keep` on to another file, durably; a crash leaves both whole. */
  moveTail(keep: number, aside: string): Promise<void>;
  close(): Promise<void>;
}

/** Takes the file over for a generation and opens it for appending; rejects with `fenced`. */
export async function openJsonl(
  path: string,
  generation: number,
  isWhole: (line: string) => boolean = () => true,
): Promise<JsonlFile> {
  try {
    return await takeOver(path, generation, isWhole);
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
): Promise<JsonlFile> {
  const own = `${path}.${generation}`;
  const aside = `${own}.tmp`;
  const before = (await generationsOf(path)).filter((other) => other < generation);
  let handle = await open(aside, 'w');
  try {
    await copyWholeLines(await sourceOf(path, before[0]), handle, isWhole);
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
  return {
    path: named,
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
      await writeLines(tail, readLines(named, keep));
      const next = await writeLines(aside, readLines(named, 0, keep), true);
      await checkFence(dirname(path), generation);
      await rename(aside, named);
      if (named === own) await nameNewest(path, generation);
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
