/**
 * Following the events of a run folder by polling, which works on every file system.
 *
 * `events.jsonl` only grows, or is replaced by a copy of itself when another generation of
 * coordinator takes the folder, or loses its older lines to parts; a line counts once its newline is there. The end is known from the
 * events themselves, or from the silence of a folder in which no coordinator lives.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventNumber, readParts } from '../coordinator/shell/line-parts.ts';
import type { RunEvent } from '../shared/core/events.ts';
import { Failure } from '../shared/core/failures.ts';
import { coordinatorOf, parseEventLine } from './run-folder.ts';

export interface FollowFolderOptions {
  /** Events after this `seq`; 0 for all. */
  since: number;
  signal: AbortSignal;
  /** Read until the signal, past the end of a run and without a coordinator. */
  wait?: boolean | undefined;
}

const pollMs = 200;
/** Without a coordinator's address, the folder is read this long before it counts as left alone. */
const quietMs = 1500;
/** A coordinator that died by force leaves its address behind; its supervisor has this long. */
const deadMs = 15_000;
const chunkBytes = 256 * 1024;
const lineCharsMax = 1 << 20;

export function isLast(event: RunEvent): boolean {
  return event.kind === 'run-done' || event.kind === 'run-failed';
}

/** Is this still the file of that name? A new generation of coordinator replaces it by a copy. */
async function isCurrent(handle: FileHandle, file: string): Promise<boolean> {
  const [held, named] = await Promise.all([handle.stat(), stat(file).catch(() => null)]);
  return named === null || (held.ino === named.ino && held.dev === named.dev);
}

/**
 * Complete lines of a growing file, as they come; null each time its end was reached. Where the
 * file was replaced, it is read again from its beginning.
 */
async function* growingLines(file: string, signal: AbortSignal): AsyncIterable<string | null> {
  const buffer = Buffer.alloc(chunkBytes);
  let handle: FileHandle | null = null;
  let decoder = new StringDecoder('utf8');
  let position = 0;
  let rest = '';
  try {
    while (true) {
      handle ??= await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      const read =
        handle === null ? 0 : (await handle.read(buffer, 0, chunkBytes, position)).bytesRead;
      if (read === 0) {
        if (handle !== null && !(await isCurrent(handle, file))) {
          await handle.close();
          handle = null;
          decoder = new StringDecoder('utf8');
          position = 0;
          rest = '';
          continue;
        }
        yield null;
        // After the signal one more look was taken, so nothing written before it is missed.
        if (signal.aborted) return;
        await sleep(pollMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      position += read;
      const parts = (rest + decoder.write(buffer.subarray(0, read))).split('\n');
      rest = parts.pop() ?? '';
      if (rest.length > lineCharsMax) {
        throw new Failure('disk', `${file} has a line of more than ${lineCharsMax} characters.`);
      }
      for (const line of parts) yield line;
    }
  } finally {
    await handle?.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Events of a run folder as they are written. */
export async function* followFolder(
  run: string,
  { since, signal, wait }: FollowFolderOptions,
): AsyncIterable<RunEvent> {
  let last = since;
  let ended = false;
  let quietSince = performance.now();
  const file = join(run, 'events.jsonl');
  for await (const line of growingLines(file, signal)) {
    if (line !== null) {
      const event = parseEventLine(line);
      if (event === null || event.seq <= last) continue;
      if (event.seq > last + 1) {
        // Older events may lie in parts.
        for await (const old of readParts(file, eventNumber, last + 1, event.seq)) {
          const missing = parseEventLine(old);
          if (missing === null || missing.seq <= last) continue;
          last = missing.seq;
          yield missing;
        }
      }
      last = event.seq;
      ended = isLast(event);
      quietSince = performance.now();
      yield event;
      continue;
    }
    if (wait === true) continue;
    if (ended) return;
    const coordinator = coordinatorOf(run);
    const patience = coordinator !== null && !isAlive(coordinator.pid) ? deadMs : quietMs;
    const lives = coordinator !== null && isAlive(coordinator.pid);
    if (!lives && performance.now() - quietSince > patience) return;
  }
}
