/**
 * The run folder as the command line sees it: where the next one goes, whether a coordinator lives
 * in it, what its events say so far. Only the coordinator writes in it; made is it here, with an
 * exclusive `mkdir`, so that two commands never share one.
 */
import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventNumber, readNumberedLines } from '../coordinator/shell/line-parts.ts';
import type { CoordinatorAddress } from '../coordinator/shell/run-folder.ts';
import type { RunEvent } from '../shared/core/events.ts';
import { Failure } from '../shared/core/failures.ts';
import { emptySummary, fold, type RunSummary } from '../shared/core/summary.ts';

/** Makes `runs/0001` or the next free number and returns its path. Throws `disk`. */
export function makeRunFolder(base = 'runs'): string {
  try {
    mkdirSync(base, { recursive: true });
    const taken = readdirSync(base)
      .filter((name) => /^\d{4,9}$/.test(name))
      .map(Number);
    for (let number = 1 + Math.max(0, ...taken); ; number += 1) {
      const folder = join(base, String(number).padStart(4, '0'));
      if (madeAlone(folder)) return folder;
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot make a run folder in ${base}: ${reason}. Use --run DIR.`;
    throw new Failure('disk', message, { cause });
  }
}

/** False where another made it first. */
function madeAlone(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Where the coordinator of a run listens, or null where none is said to live. */
export function coordinatorOf(run: string): CoordinatorAddress | null {
  try {
    const value = JSON.parse(readFileSync(join(run, 'coordinator.json'), 'utf8'));
    return typeof value?.address === 'string' ? (value as CoordinatorAddress) : null;
  } catch {
    // Absent, or caught between create and write: nobody to talk to at this moment.
    return null;
  }
}

/** Bytes that are free for a run, or null where the system does not say. */
export function freeBytesAt(run: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(run);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Images of a run's data set, held-out ones included; null where its record cannot be read. */
export function imagesOf(run: string): number | null {
  try {
    const { samples } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    return Number.isSafeInteger(samples) && samples > 0 ? samples : null;
  } catch {
    return null;
  }
}

/** Throws `run-missing` unless this is a folder with a run in it. */
export function checkRunFolder(run: string): void {
  const stat = statSync(run, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new Failure('run-missing', `there is no run folder ${run}: check the path (see runs/).`);
  }
  if (!stat.isDirectory()) {
    throw new Failure('run-missing', `${run} is a file; a run is a folder, such as runs/0001.`);
  }
  const known = ['events.jsonl', 'run.json', 'coordinator.json', 'config.yaml', 'checkpoints'];
  if (!known.some((name) => statSync(join(run, name), { throwIfNoEntry: false }))) {
    throw new Failure(
      'run-missing',
      `${run} is not a run folder: it has neither events.jsonl nor checkpoints. See runs/.`,
    );
  }
}

/** One event of a line, or null for a line that was cut short or is none. */
export function parseEventLine(line: string): RunEvent | null {
  try {
    const value = JSON.parse(line);
    const valid = Number.isSafeInteger(value?.seq) && typeof value.kind === 'string';
    return valid ? (value as RunEvent) : null;
  } catch {
    return null;
  }
}

/** What the events of a run folder add up to; the empty summary where there are none. */
export async function summaryOf(run: string): Promise<RunSummary> {
  const file = join(run, 'events.jsonl');
  let summary = emptySummary;
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return summary;
  for await (const line of readNumberedLines(file, eventNumber)) {
    const event = parseEventLine(line);
    if (event !== null) summary = fold(summary, event);
  }
  return summary;
}

/**
 * Number of classes among a run's samples and the share of the largest: what guessing reaches.
 * Null where the samples have no labels or cannot be read.
 */
export async function chanceOf(run: string): Promise<{ classes: number; share: number } | null> {
  const file = join(run, 'samples.jsonl');
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return null;
  const counts = new Map<string, number>();
  let total = 0;
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  for await (const line of lines) {
    const label = labelOf(line);
    if (label === null) continue;
    counts.set(label, (counts.get(label) ?? 0) + 1);
    total += 1;
  }
  if (counts.size < 2) return null;
  return { classes: counts.size, share: Math.max(...counts.values()) / total };
}

function labelOf(line: string): string | null {
  try {
    const value = JSON.parse(line);
    return typeof value?.label === 'string' ? value.label : null;
  } catch {
    return null;
  }
}
