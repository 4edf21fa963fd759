/**
 * The features of the images that an evaluation uses, by workers on this machine and any that join.
 */
import { type Extraction, extractFeatures } from '../coordinator/evaluation.ts';
import { sha256Text } from '../coordinator/shell/ledger-file.ts';
import { backboneHash } from '../coordinator/shell/model-state.ts';
import { sha256Of } from '../shared/adapters/fingerprint.ts';
import { openDataset } from '../shared/adapters/open-dataset.ts';
import { architecture } from '../shared/core/architecture.ts';
import { canonicalJson } from '../shared/core/canonical-json.ts';
import { type Config, isLoopback, parseAddress } from '../shared/core/config.ts';
import type { EvaluationSplit } from '../shared/core/evaluation-split.ts';
import { permutation } from '../shared/core/permutation.ts';
import type { Sample } from '../shared/core/sample.ts';
import { bytesOf } from '../shared/wire/tensors.ts';
import { openChildren } from './children.ts';
import type { EvaluatedNetwork } from './evaluated-network.ts';
import { keepFeatures, keptFeatures } from './feature-cache.ts';
import { parseLogLine } from './log.ts';
import { isUnasked, withoutStamp } from './tensorflow-lines.ts';
import { keepWorkers } from './worker-children.ts';

export interface EvaluationWatcher {
  note: (line: string) => void;
  /** Reasons, for those who ask. */
  say: (line: string) => void;
  progress: (what: string, done: number, of: number) => void;
  verbose: boolean;
}

export interface EvaluatedImages {
  samples: Sample[];
  fingerprint: string;
  /** Where they are read. */
  data: string;
}

export interface ExtractRequest {
  /** Side of an image; null: the run's. */
  size: number | null;
  calibrate: boolean;
  /** Whether features that were extracted before are left aside. */
  fresh: boolean;
  /** Workers, backend, where to listen. */
  config: Config;
}

/** Features of every image, in the order of the data set. */
export interface Rows extends Extraction {
  /** SHA-256 over them. */
  sha256: string;
}

const cacheVersion = 1;

/** What decides the features: the network as served, the size and precision, the images. */
function questionOf(
  { method, copy }: EvaluatedNetwork,
  size: number,
  fingerprint: string,
  calibration: readonly number[],
): string {
  const { model, precision, classes } = method;
  const backbone = backboneHash(architecture(model, classes?.length), copy);
  return sha256Text(
    canonicalJson({ cacheVersion, backbone, model, precision, size, fingerprint, calibration }),
  );
}

/** From the cache, or by workers. */
export async function extract(
  request: ExtractRequest,
  network: EvaluatedNetwork,
  images: EvaluatedImages,
  split: EvaluationSplit,
  signal: AbortSignal,
  watcher: EvaluationWatcher,
): Promise<Rows> {
  const size = request.size ?? network.method.size;
  const calibration = request.calibrate ? shuffled(split.learned, network.method.seed) : [];
  const question = questionOf(network, size, images.fingerprint, calibration);
  const { featureWidth } = architecture(network.method.model);
  const values = images.samples.length * featureWidth;
  const kept = request.fresh ? null : await keptFeatures(question, values);
  if (kept !== null) {
    watcher.note('the features were extracted before (--fresh does it anew)');
    return { ...kept, sha256: sha256Of(bytesOf(kept.features)) };
  }
  // Those that calibrate come first, as the coordinator's plan of surveys wants them.
  const first = new Set(calibration);
  const order = [
    ...calibration,
    ...images.samples.map((_, place) => place).filter((place) => !first.has(place)),
  ];
  const extraction = await byWorkers(request, network, images, order, calibration.length, size, {
    signal,
    watcher,
  });
  const features = new Float32Array(values);
  for (const [i, place] of order.entries()) {
    const row = extraction.features.subarray(i * featureWidth, (i + 1) * featureWidth);
    features.set(row, place * featureWidth);
  }
  const rows = { ...extraction, features };
  await keepFeatures(question, rows);
  return { ...rows, sha256: sha256Of(bytesOf(features)) };
}

/**
 * Batch norm takes its batches for random draws. In the order of the list most of them would hold one
 * class alone, and a variance within batches lacks what is between classes.
 */
function shuffled(places: readonly number[], seed: number): number[] {
  const order = permutation(seed, 0, places.length, 'calibration');
  return places.map((_, i) => places[order(i)] as number);
}

/** What to do where no worker is started here. */
function waitingText(address: string): string {
  const alone = isLoopback(parseAddress(address)?.host ?? '');
  return (
    `no workers are started here (--workers 0): waiting at ${address} for those that join with ` +
    `"tandem worker --coordinator ${address}"` +
    (alone ? '; workers of other machines need --listen HOST:PORT' : '')
  );
}

async function byWorkers(
  { config }: ExtractRequest,
  network: EvaluatedNetwork,
  images: EvaluatedImages,
  order: readonly number[],
  calibrate: number,
  size: number,
  { signal, watcher }: { signal: AbortSignal; watcher: EvaluationWatcher },
): Promise<Extraction> {
  const children = openChildren(signal, (line) => {
    if (!watcher.verbose && isUnasked(line)) return;
    watcher.note(parseLogLine(line)?.text ?? withoutStamp(line));
  });
  const failed = new AbortController();
  let workers: Promise<unknown> = Promise.resolve();
  try {
    return await extractFeatures({
      name: network.name,
      method: { ...network.method, size, canvas: 2 * size },
      fingerprint: images.fingerprint,
      copy: network.copy,
      step: network.step,
      samples: order.map((place, index) => ({ ...(images.samples[place] as Sample), index })),
      dataset: openDataset(images.data),
      calibrate,
      config,
      signal: AbortSignal.any([signal, failed.signal]),
      onListening(address) {
        if (config.workers === 0) watcher.note(waitingText(address));
        const own = { ...config, data: images.data, precision: network.method.precision };
        const more = watcher.verbose ? ['--verbose'] : [];
        workers = keepWorkers(children, own, () => address, more).catch((error: unknown) =>
          failed.abort(error),
        );
      },
      onProgress: (done, of) => watcher.progress('features', done, of),
      say: watcher.say,
    }).catch((error: unknown) => {
      throw failed.signal.aborted ? failed.signal.reason : error;
    });
  } finally {
    await children.end();
    await workers;
  }
}
