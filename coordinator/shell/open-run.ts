/**
 * Opening a run: a new folder with its method and sample list, or an old one that must agree.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../shared/adapters/durable.ts';
import { fingerprintOf } from '../../shared/adapters/fingerprint.ts';
import { openDataset } from '../../shared/adapters/open-dataset.ts';
import {
  type Config,
  describeDifference,
  methodDifference,
  methodOf,
} from '../../shared/core/config.ts';
import type { EventBody } from '../../shared/core/events.ts';
import { eventsVersion } from '../../shared/core/events.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Method } from '../../shared/core/method.ts';
import type { LeftOut, Sample } from '../../shared/core/sample.ts';
import { splitSamples } from '../../shared/core/split.ts';
import type { Dataset } from '../../shared/ports/dataset.ts';
import { parseSamples, samplesToJsonl } from '../../shared/wire/samples.ts';
import type { RunContext } from './run-context.ts';
import { prepareRunFolder, type RunRecord, readRun, writeRun } from './run-folder.ts';
import { configYaml } from './config-yaml.ts';

export interface OpenedRun {
  folder: string;
  run: RunRecord;
  /** The images that training sees. */
  samples: Sample[];
  /** The images that are held out (`--validation`). */
  heldOut: Sample[];
  leftOut: LeftOut[];
  dataset: Dataset;
}

export async function openRun(
  config: Config & { run: string },
  onIndex: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<OpenedRun> {
  if (config.data === null)
    throw new Failure('bad-option', '--data is missing: give a folder of images, or "synthetic"');
  const dataset = openDataset(config.data);
  const folder = config.run;
  const known = await readRun(folder);
  if (known !== null) {
    const samples = await readSamples(folder, known);
    const differences = methodDifference(known.method, methodOf(config, samples.length));
    if (differences.length > 0)
      throw new Failure(
        'other-method',
        `${folder} was begun with another method: ${describeDifference(differences)}. Resume ` +
          'with the same method, or begin another run with another --run',
      );
    await prepareRunFolder(folder);
    return { folder, run: known, ...parts(samples, known.method), leftOut: [], dataset };
  }
  const index = await dataset.index(({ done, total }) => onIndex(done, total), signal);
  const method = methodOf(config, index.samples.length);
  await prepareRunFolder(folder);
  const run: RunRecord = {
    version: 1,
    method,
    fingerprint: index.fingerprint,
    samples: index.samples.length,
    deviceClass: null,
    identity: null,
    reproducible: true,
  };
  await replaceFile(join(folder, 'samples.jsonl'), samplesToJsonl(index.samples, index.leftOut));
  await replaceFile(join(folder, 'config.yaml'), configYaml(config));
  await writeRun(folder, run);
  return { folder, run, ...parts(index.samples, method), leftOut: index.leftOut, dataset };
}

/** `samples.jsonl` and the fingerprint hold every image; the method says which are held out. */
function parts(samples: readonly Sample[], method: Method): Pick<OpenedRun, 'samples' | 'heldOut'> {
  const { training, heldOut } = splitSamples(samples, method.seed, method.validation ?? 0);
  return { samples: training, heldOut };
}

/** The sample list that was decided when the run began. */
async function readSamples(folder: string, run: RunRecord): Promise<Sample[]> {
  const path = join(folder, 'samples.jsonl');
  const text = await readFile(path, 'utf8').catch(() => '');
  const samples = parseSamples(text);
  if (samples.length !== run.samples || fingerprintOf(samples) !== run.fingerprint)
    throw new Failure(
      'data-changed',
      `${path} is not the sample list with which the run began (${run.samples} images, ` +
        `fingerprint ${run.fingerprint.slice(0, 12)}…): restore it from a copy, or begin a new run`,
    );
  return samples;
}

/** The event with which a life of a coordinator begins. */
export function describeRun(context: RunContext): EventBody {
  const { plan, run, model, name, config } = context;
  return {
    kind: 'run-opened',
    version: eventsVersion,
    run: name,
    generation: plan.generation,
    totalSteps: plan.totalSteps,
    stopAt: plan.stopAt,
    images: plan.samples,
    batch: run.method.batch,
    microBatch: run.method.microBatch,
    model: run.method.model,
    outputWidth: model.architecture.outputWidth,
    data: config.data ?? '',
  };
}
