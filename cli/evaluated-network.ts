/**
 * Which network an evaluation measures: a run's newest whole checkpoint, one that is named by step
 * or by folder, step 0, which can be drawn again where its checkpoint is gone, or an encoder folder
 * that was exported or imported.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { digestOf, readCheckpoint } from '../coordinator/shell/checkpoints.ts';
import { initialCopy, type ModelCopy } from '../coordinator/shell/model-state.ts';
import { readRun } from '../coordinator/shell/run-folder.ts';
import { isEncoderFolder, readEncoderFolder } from '../shared/adapters/encoder-folder.ts';
import { fingerprintOf } from '../shared/adapters/fingerprint.ts';
import { architecture } from '../shared/core/architecture.ts';
import { methodOf, parseConfig } from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';
import type { Method } from '../shared/core/method.ts';
import { epochsAfter } from '../shared/core/order.ts';
import type { Sample } from '../shared/core/sample.ts';
import { splitOf } from '../shared/core/split.ts';
import { parseSamples } from '../shared/wire/samples.ts';
import { newestCheckpoint } from './commands/digest.ts';
import { readRunConfig } from './config-file.ts';
import { checkRunFolder } from './run-folder.ts';

export interface EvaluatedNetwork {
  /** Name of the run, and its folder. */
  name: string;
  folder: string;
  method: Method;
  /** Whether training learned from the labels. */
  sawLabels: boolean;
  copy: ModelCopy;
  step: number;
  epoch: number;
  digest: string;
  /** The data set of the run: every image, held-out ones included; null: not a run. */
  samples: Sample[] | null;
  fingerprint: string | null;
  /** Where it lay; null: nobody knows. */
  data: string | null;
  /** Whose names the file of an imported encoder had. */
  imported?: string;
}

/** Folder of a run, and the step that a path to one of its checkpoints names. */
function placeOf(target: string): { folder: string; step: number | null } {
  const path = resolve(target);
  const named = /^step-(\d{8,})$/.exec(basename(path));
  if (named === null || basename(dirname(path)) !== 'checkpoints')
    return { folder: target, step: null };
  return { folder: dirname(dirname(path)), step: Number(named[1]) };
}

/** `step`: null for the newest. Rejects with `run-missing` or `checkpoint-damaged`. */
export async function evaluatedNetwork(
  target: string,
  step: number | null,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<EvaluatedNetwork> {
  if (await isEncoderFolder(target)) return importedNetwork(target, step);
  const place = placeOf(target);
  const { folder } = place;
  checkRunFolder(folder);
  const run = await readRun(folder);
  if (run === null)
    throw new Failure('run-missing', `${folder} has no run.json yet: train first, or wait for it.`);
  const { method, fingerprint } = run;
  const net = architecture(method.model, method.classes?.length);
  const asked = step ?? place.step ?? (await newest(folder, signal, note));
  const { copy, digest } = await stateAt(folder, asked, net, method.seed);
  const samples = parseSamples(await readFile(join(folder, 'samples.jsonl'), 'utf8'));
  if (fingerprintOf(samples) !== fingerprint)
    throw new Failure('data-changed', `${folder}/samples.jsonl is not the list of this run.`);
  const own = readRunConfig(folder);
  const seen = splitOf(method.seed, method.validation ?? 0, samples.length).training.length;
  return {
    name: basename(resolve(folder)),
    folder,
    method,
    sawLabels: method.objective === 'supervised',
    copy,
    step: asked,
    epoch: epochsAfter(asked, method.batch, seen),
    digest,
    samples,
    fingerprint,
    data: own === null ? null : parseConfig([own]).config.data,
  };
}

/** An encoder without a run: evaluated at the size that it is meant for, in f32. */
async function importedNetwork(folder: string, step: number | null): Promise<EvaluatedNetwork> {
  if (step !== null)
    throw new Failure('bad-option', `${folder} is one encoder: it has no --checkpoint ${step}.`);
  const { record, weights, statistics } = await readEncoderFolder(folder);
  const { model, digest, preprocessing, source } = record;
  const values = { model, size: preprocessing.size, batch: 8, 'micro-batch': 8 };
  const { config } = parseConfig([{ source: 'flag', values }]);
  const made = source.kind === 'run' ? source : null;
  const { validation = 0, seed = config.seed } = made ?? {};
  const momentum = new Float32Array(weights.length);
  return {
    name: basename(resolve(folder)),
    folder,
    method: { ...methodOf(config, config.batch), seed, ...(validation > 0 ? { validation } : {}) },
    sawLabels: made?.objective === 'supervised',
    copy: { weights, momentum, statistics },
    step: source.kind === 'run' ? source.step : 0,
    epoch: source.kind === 'run' ? source.epoch : 0,
    digest,
    samples: null,
    fingerprint: made?.fingerprint ?? null,
    data: null,
    ...(source.kind === 'file' ? { imported: source.naming } : {}),
  };
}

async function newest(
  folder: string,
  signal: AbortSignal,
  note: (line: string) => void,
): Promise<number> {
  const found = await newestCheckpoint(folder, signal, (checkpoint, damage) =>
    note(`${checkpoint} is damaged: ${damage}. Taking the one before.`),
  );
  return found.step;
}

async function stateAt(
  folder: string,
  step: number,
  net: ReturnType<typeof architecture>,
  seed: number,
): Promise<{ copy: ModelCopy; digest: string }> {
  try {
    const { copy, manifest } = await readCheckpoint(folder, step, net);
    return { copy, digest: manifest.digest };
  } catch (error) {
    if (step !== 0) throw error;
    const copy = initialCopy(net, seed);
    return { copy, digest: digestOf(net, copy, 0) };
  }
}
