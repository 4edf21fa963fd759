/**
 * What a command means by RUN|CHECKPOINT: a run folder (its newest whole checkpoint) or one folder
 * `checkpoints/step-…` of it.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Manifest, readManifest } from '../coordinator/shell/checkpoints.ts';
import { readRun, type RunRecord } from '../coordinator/shell/run-folder.ts';
import { Failure } from '../shared/core/failures.ts';
import { newestCheckpoint, readCheckpoint } from './commands/digest.ts';
import { checkRunFolder } from './run-folder.ts';

export interface ChosenCheckpoint {
  /** The run folder and the checkpoint's, as paths; the run's name. */
  run: string;
  folder: string;
  name: string;
  step: number;
  record: RunRecord;
  manifest: Manifest;
}

/** `onDamage` hears of newer checkpoints that are passed over. */
export async function chooseCheckpoint(
  path: string,
  signal: AbortSignal,
  onDamage: (checkpoint: string, damage: string) => void,
): Promise<ChosenCheckpoint> {
  const step = /^step-(\d{8,})$/.exec(basename(resolve(path)))?.[1];
  const isCheckpoint = step !== undefined && basename(dirname(resolve(path))) === 'checkpoints';
  const run = isCheckpoint ? dirname(dirname(resolve(path))) : path;
  checkRunFolder(run);
  const chosen = isCheckpoint
    ? { checkpoint: path, step: Number(step), ...(await whole(path, signal)) }
    : await newestCheckpoint(run, signal, onDamage);
  const record = await readRun(run);
  const manifest = await readManifest(run, chosen.step);
  if (record === null || manifest === null)
    throw new Failure('run-missing', `${run} has no run.json: it is not a whole run folder.`);
  const folder = chosen.checkpoint;
  return { run, folder, name: basename(resolve(run)), step: chosen.step, record, manifest };
}

async function whole(path: string, signal: AbortSignal): Promise<{ digest: string }> {
  if (!(await stat(join(path, 'manifest.json')).catch(() => null)))
    throw new Failure('run-missing', `there is no checkpoint ${path}: see its run's checkpoints/.`);
  const read = await readCheckpoint(path, signal);
  if ('digest' in read) return read;
  throw new Failure('checkpoint-damaged', `${path} is damaged: ${read.damage}.`);
}
