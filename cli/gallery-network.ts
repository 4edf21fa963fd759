/**
 * Which network a gallery asks and on which images: a run's newest whole checkpoint (or one that is
 * named) on the run's own images, or an encoder folder on images that are given; and its features.
 *
 * Features are made in this process by the same compute and the same centre crops as a worker's: a row
 * is the same whoever computes it and whatever stands beside it in the batch (NUMERICS 2).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isEncoderFolder, readEncoderFolder } from '../shared/adapters/encoder-folder.ts';
import { openDataset } from '../shared/adapters/open-dataset.ts';
import { badWeights, openSafetensors } from '../shared/adapters/safetensors-file.ts';
import { architecture } from '../shared/core/architecture.ts';
import { type Config, methodOf, parseConfig } from '../shared/core/config.ts';
import { encoderTensors } from '../shared/core/encoder-naming.ts';
import { Failure } from '../shared/core/failures.ts';
import type { Method, ModelName } from '../shared/core/method.ts';
import type { Sample } from '../shared/core/sample.ts';
import { heldWeights } from '../shared/core/weight-memory.ts';
import { parseSamples } from '../shared/wire/samples.ts';
import { computeEnvironment } from '../worker/compute/environment.ts';
import { grayImage } from '../worker/shell/decode.ts';
import { type KnownImage, prepareSurvey } from '../worker/shell/leaf-input.ts';
import { chooseCheckpoint } from './checkpoint-path.ts';
import { readRunConfig } from './config-file.ts';
import { galleryImage, type GallerySource, grayText } from './gallery-images.ts';
import { computeFor } from './preview.ts';

export interface GalleryNetwork extends GallerySource {
  method: Method;
  weights: Float32Array;
  statistics: Float32Array;
  /** `step 12`, `encoder` */
  at: string;
  samples: Sample[];
}

/** Images that are decoded and computed at once. */
const chunk = 64;
const sayMs = 5000;

/** `data`: null for the run's own, where they lay. */
export async function galleryNetwork(
  target: string,
  data: string | null,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<GalleryNetwork> {
  if (await isEncoderFolder(target)) {
    if (data === null)
      throw new Failure('bad-option', `${target} has no images of its own: give --data DIR.`);
    const { record, weights, statistics } = await readEncoderFolder(target);
    const values = { model: record.model, size: record.preprocessing.size, batch: 2, steps: 1 };
    const layer = { source: 'flag' as const, values: { ...values, 'micro-batch': 2 } };
    const method = methodOf(parseConfig([layer]).config, 2);
    const dataset = openDataset(data);
    const { samples } = await dataset.index(undefined, signal);
    return { method, weights, statistics, at: 'encoder', samples, dataset, data };
  }
  const { run, folder, step, record } = await chooseCheckpoint(
    target,
    signal,
    (checkpoint, damage) => say(`${checkpoint} is damaged: ${damage}. Taking the one before.`),
  );
  // The backbone alone is asked: what was trained beside it does not matter.
  const { classes: _, ...plain } = record.method;
  const method: Method = { ...plain, objective: 'simsiam' };
  const { weights, statistics } = await backboneOf(join(folder, 'model.safetensors'), method.model);
  const own = readRunConfig(run);
  const place = data ?? (own === null ? null : parseConfig([own]).config.data);
  if (place === null)
    throw new Failure('bad-option', `${run} does not say where its images lay: --data DIR.`);
  const dataset = openDataset(place);
  const samples =
    data === null
      ? parseSamples(await readFile(join(run, 'samples.jsonl'), 'utf8'))
      : (await dataset.index(undefined, signal)).samples;
  return { method, weights, statistics, at: `step ${step}`, samples, dataset, data: place };
}

/** The encoder in a checkpoint's file, whatever heads stand beside it there; they are left at zero. */
async function backboneOf(
  path: string,
  model: ModelName,
): Promise<{ weights: Float32Array; statistics: Float32Array }> {
  const { parameterCount, statisticCount } = architecture(model);
  const weights = new Float32Array(parameterCount);
  const statistics = new Float32Array(statisticCount);
  const file = await openSafetensors(path);
  try {
    const places = new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
    for (const { spec, kind } of encoderTensors(model)) {
      const found = places.get(spec.name);
      if (found === undefined) throw badWeights(path, `it lacks ${spec.name}`);
      const values = await file.read(found);
      if (values.length !== spec.length)
        throw badWeights(path, `${spec.name} has ${values.length} numbers, not ${spec.length}`);
      (kind === 'parameter' ? weights : statistics).set(values, spec.offset);
    }
    return { weights, statistics };
  } finally {
    await file.close();
  }
}

/** Features of the samples at `places`, [places, width]. Rejects with `sample-unavailable`. */
export async function galleryFeatures(
  network: GalleryNetwork,
  places: readonly number[],
  backend: Config['backend'],
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<{ features: Float32Array; width: number }> {
  const { method, samples } = network;
  const width = architecture(method.model).featureWidth;
  const features = new Float32Array(places.length * width);
  const grays: string[] = [];
  const imageOf = async (sample: Sample): Promise<KnownImage> => {
    const image = await galleryImage(network, sample, method.canvas);
    if (image === null) grays.push(sample.path);
    return { image: image ?? grayImage(method.canvas), gray: image === null };
  };
  // Images that are gone are told before TensorFlow is loaded.
  for (const place of places.slice(0, 1))
    await galleryImage(network, samples[place] as Sample, method.canvas);
  // TensorFlow reads these when it is loaded, which is now.
  const { precision } = method;
  Object.assign(process.env, computeEnvironment(process.env, { precision }));
  const compute = await computeFor(backend, method);
  try {
    const { weights, statistics } = network;
    const net = architecture(method.model);
    await compute.load(heldWeights(net, precision, weights, statistics));
    let said = performance.now();
    for (let first = 0; first < places.length; first += chunk) {
      signal.throwIfAborted();
      const chosen = places.slice(first, first + chunk).map((place) => samples[place] as Sample);
      const { pixels, view } = await prepareSurvey(method, chosen, 0, chosen.length, imageOf);
      features.set(await compute.features(pixels, view), first * width);
      if (performance.now() - said < sayMs) continue;
      said = performance.now();
      say(`features ${first + chosen.length}/${places.length}`);
    }
  } finally {
    await compute.close();
  }
  const gray = grayText(grays.sort(), places.length);
  if (gray !== null) say(gray);
  return { features, width };
}
