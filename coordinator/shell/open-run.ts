/**
 * Opening a run: a new folder with its method and sample list, or an old one that must agree.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
import { labelled } from '../../shared/core/labels.ts';
import type { Method } from '../../shared/core/method.ts';
import type { LeftOut, Sample } from '../../shared/core/sample.ts';
import { splitSamples } from '../../shared/core/split.ts';
import type { Dataset } from '../../shared/ports/dataset.ts';
import { parseSamples, samplesToJsonl } from '../../shared/wire/samples.ts';
import type { RunContext } from './run-context.ts';
import {
  createRun,
  prepareRunFolder,
  replaceFenced,
  type RunRecord,
  readRun,
  takeGeneration,
} from './run-folder.ts';
import { configYaml } from './config-yaml.ts';

export interface OpenedRun {
  folder: string;
  generation: number;
  run: RunRecord;
  /** The images that training sees. */
  samples: Sample[];
  /** The images that are held out (`--validation`). */
  heldOut: Sample[];
  leftOut: LeftOut[];
  dataset: Dataset;
}

interface Contents extends Pick<OpenedRun, 'run' | 'samples' | 'heldOut' | 'leftOut'> {
  /** Every image, in order. */
  all: Sample[];
}

/** Looks at the data or at the run that is there, then takes the folder over. */
export async function openRun(
  config: Config & { run: string },
  onIndex: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<OpenedRun> {
  if (config.data === null)
    throw new Failure('bad-option', '--data is missing: give a folder of images, or "synthetic"');
  const dataset = openDataset(config.data);
  const folder = config.run;
  const before = await readRun(folder);
  const contents =
    before === null
      ? await newRun(config, dataset, onIndex, signal)
      : await knownRun(config, folder, before);
  await prepareRunFolder(folder);
  const generation = await takeGeneration(folder);
  // Until this moment another coordinator could still make the run, or adopt its device class.
  const run = await readRun(folder);
  if (run !== null && before !== null) return { ...contents, folder, generation, dataset, run };
  if (run !== null)
    return { ...(await knownRun(config, folder, run)), folder, generation, dataset };
  const list = samplesToJsonl(contents.all, contents.leftOut);
  await replaceFenced(folder, generation, 'samples.jsonl', list);
  await replaceFenced(folder, generation, 'config.yaml', configYaml(config));
  if (await createRun(folder, contents.run)) return { ...contents, folder, generation, dataset };
  // This one stood still, and another has begun the run: the fence will say so.
  const made = (await readRun(folder)) ?? contents.run;
  return { ...(await knownRun(config, folder, made)), folder, generation, dataset };
}

async function newRun(
  config: Config,
  dataset: Dataset,
  onIndex: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<Contents> {
  const index = await dataset.index(({ done, total }) => onIndex(done, total), signal);
  const run: RunRecord = {
    version: 1,
    method: methodOf(config, index.samples.length, classesFor(config, index.samples)),
    fingerprint: index.fingerprint,
    samples: index.samples.length,
    deviceClass: null,
    identity: null,
    reproducible: true,
  };
  return { run, ...parts(index.samples, run.method), leftOut: index.leftOut };
}

/** Names of the classes where they are learned from. Throws `data-unlabelled` where there are none. */
function classesFor({ objective, data }: Config, samples: readonly Sample[]): string[] {
  if (objective !== 'supervised') return [];
  const labels = labelled(samples);
  if (labels !== null) return labels.names;
  throw new Failure(
    'data-unlabelled',
    `a supervised run needs classes: the first folder of each path of ${data} must name one, and ` +
      'there must be two or more. Sort the images into such folders',
  );
}

async function knownRun(config: Config, folder: string, run: RunRecord): Promise<Contents> {
  const samples = await readSamples(folder, run);
  const differences = methodDifference(
    run.method,
    methodOf(config, samples.length, classesFor(config, samples)),
  );
  if (differences.length > 0)
    throw new Failure(
      'other-method',
      `${folder} was begun with another method: ${describeDifference(differences)}. Resume ` +
        'with the same method, or begin another run with another --run',
    );
  return { run, ...parts(samples, run.method), leftOut: [] };
}

/** `samples.jsonl` and the fingerprint hold every image; the method says which are held out. */
function parts(all: Sample[], method: Method): Pick<Contents, 'all' | 'samples' | 'heldOut'> {
  const { training, heldOut } = splitSamples(all, method.seed, method.validation ?? 0);
  return { all, samples: training, heldOut };
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
    objective: run.method.objective,
    outputWidth: model.architecture.outputWidth,
    data: config.data ?? '',
  };
}
