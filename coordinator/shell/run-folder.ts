/**
 * The run folder: what a run is (`run.json`), who serves it (`coordinator.json`), and the fence
 * that keeps two coordinators from committing on one folder.
 *
 * A life of a coordinator is a generation: a file in `generations/`, created exclusively and
 * durable before anything listens. The newest generation owns the folder; an older one finds out
 * before each append and rename, and its open file handles point at files that the newer one has
 * replaced (see `jsonl-file.ts`), so even a race between check and write commits nothing.
 */
import { access, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile, makeFolder, replaceFile, syncFolder } from '../../shared/adapters/durable.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Method } from '../../shared/core/method.ts';
import type { DeviceClass } from '../core/state.ts';

/** What a run is, for ever. */
export interface RunRecord {
  version: 1;
  method: Method;
  fingerprint: string;
  samples: number;
  /** Null until the first worker's canary. */
  deviceClass: DeviceClass | null;
  /** SHA-256 of method, fingerprint and class; null until the class is known. */
  identity: string | null;
  /** False once a worker of another class took part. */
  reproducible: boolean;
}

export interface CoordinatorAddress {
  address: string;
  pid: number;
  generation: number;
}

/** Makes sure the folder exists and can be written; says what to do where not. */
export async function prepareRunFolder(folder: string): Promise<void> {
  try {
    for (const part of ['', 'generations', 'warm', 'checkpoints'])
      await makeFolder(join(folder, part));
  } catch (error) {
    const reason = (error as Error).message;
    throw new Failure(
      'disk',
      `cannot make the run folder ${folder}: ${reason}. Choose another --run`,
    );
  }
}

export async function readRun(folder: string): Promise<RunRecord | null> {
  let text: string;
  try {
    text = await readFile(join(folder, 'run.json'), 'utf8');
  } catch {
    return null;
  }
  try {
    const run = JSON.parse(text) as RunRecord;
    if (run.version === 1) return run;
  } catch {
    // Said below.
  }
  throw new Failure(
    'run-missing',
    `${join(folder, 'run.json')} is not a run of this release; choose another --run`,
  );
}

/** Replaces a small file of the folder, unless a newer generation owns it (`fenced`). */
export const replaceFenced = (
  folder: string,
  generation: number,
  name: string,
  text: string,
): Promise<void> => replaceFile(join(folder, name), text, () => checkFence(folder, generation));

const runText = (run: RunRecord) => `${JSON.stringify(run, null, 2)}\n`;

/** Makes `run.json`; false where another coordinator has made it meanwhile. */
export const createRun = (folder: string, run: RunRecord): Promise<boolean> =>
  createFile(join(folder, 'run.json'), runText(run));

export const writeRun = (folder: string, run: RunRecord, generation: number): Promise<void> =>
  replaceFenced(folder, generation, 'run.json', runText(run));

async function generations(folder: string): Promise<number[]> {
  const names = await readdir(join(folder, 'generations'));
  return names.map(Number).filter(Number.isInteger);
}

/** Takes the next generation, durably. */
export async function takeGeneration(folder: string): Promise<number> {
  for (;;) {
    const next = Math.max(0, ...(await generations(folder))) + 1;
    const file = join(folder, 'generations', String(next).padStart(8, '0'));
    try {
      await (await open(file, 'wx')).close();
      await syncFolder(join(folder, 'generations'));
      return next;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Throws where a newer coordinator owns the folder. One `access` a call. */
export async function checkFence(folder: string, generation: number): Promise<void> {
  const next = join(folder, 'generations', String(generation + 1).padStart(8, '0'));
  const fenced = await access(next).then(
    () => true,
    () => false,
  );
  if (fenced)
    throw new Failure(
      'fenced',
      `a newer coordinator (generation ${generation + 1} or later) owns ${folder}: this one ` +
        `(generation ${generation}) stops and has committed nothing that the newer one lacks`,
    );
}

const addressName = 'coordinator.json';
const addressFile = (folder: string) => join(folder, addressName);

export const writeAddress = (folder: string, address: CoordinatorAddress): Promise<void> =>
  replaceFenced(folder, address.generation, addressName, `${JSON.stringify(address)}\n`);

/** Removes the address of this coordinator or of one before it that died, not of a newer one. */
export async function clearAddress(folder: string, generation: number): Promise<void> {
  try {
    const text = await readFile(addressFile(folder), 'utf8');
    if ((JSON.parse(text) as CoordinatorAddress).generation <= generation)
      await rm(addressFile(folder));
  } catch {
    // It is gone already.
  }
}
