/**
 * View pairs of the first images of a run's stream, as its workers would make them.
 *
 * The same order, decoding, draws and graph of augmentation as in training, so what is looked at
 * is what the network sees. Computed without coordinator or worker, in the process of
 * `preview-child.ts`.
 */
import { writeFile } from 'node:fs/promises';
import { architecture } from '../shared/core/architecture.ts';
import { openDataset } from '../shared/adapters/open-dataset.ts';
import { type Config, methodOf } from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';
import type { Backend, Method } from '../shared/core/method.ts';
import { sampleAt } from '../shared/core/order.ts';
import type { DecodedImage, Sample } from '../shared/core/sample.ts';
import type { Compute } from '../shared/ports/compute.ts';
import { createCompute } from '../worker/compute/compute.ts';
import { decodeImage, grayImage } from '../worker/shell/decode.ts';
import { type KnownImage, prepareLeaf } from '../worker/shell/leaf-input.ts';
import { contactSheet } from './contact-sheet.ts';

export interface PreviewOptions {
  config: Config & { data: string };
  /** Pairs; fewer where the data set holds fewer images. */
  count: number;
  /** PNG to write. */
  out: string;
  signal: AbortSignal;
  /** Lines for people: what is missing or stands in for something. */
  say: (line: string) => void;
}

/** TensorFlow, and without it wasm, unless one is asked for. */
export async function computeFor(asked: Backend | 'auto', method: Method): Promise<Compute> {
  const create = (backend: Backend): Promise<Compute> =>
    createCompute({
      backend,
      method,
      architecture: architecture(method.model, method.classes?.length),
    });
  if (asked !== 'auto') return create(asked);
  return create('tensorflow').catch((error: unknown) => {
    if (error instanceof Failure && error.code === 'backend-missing') return create('wasm');
    throw error;
  });
}

/** Writes the contact sheet; resolves to the number of pairs on it. */
export async function writePreview(options: PreviewOptions): Promise<number> {
  const { config, out, signal, say } = options;
  const dataset = openDataset(config.data);
  const { samples, leftOut } = await dataset.index(undefined, signal);
  for (const { path, reason } of leftOut.slice(0, 10)) say(`left out ${path}: ${reason}`);
  if (leftOut.length > 10) say(`and ${leftOut.length - 10} more files left out`);
  const count = Math.min(options.count, samples.length);
  // One micro-batch holds all pairs: slots 0 to count - 1 of step 0 are the stream's beginning.
  const method = methodOf({ ...config, batch: count, microBatch: count }, samples.length);
  const images = new Map<number, DecodedImage>();
  const imageOf = async (sample: Sample): Promise<KnownImage> => {
    signal.throwIfAborted();
    const bytes = await dataset.read(sample);
    const image = await decodeImage(bytes ?? new Uint8Array(), method.canvas).catch((error) => {
      if (!(error instanceof Failure)) throw error;
      say(`${sample.path}: ${error.message}`);
      return grayImage(method.canvas);
    });
    images.set(sample.index, image);
    // What the picture shows does not depend on the input's hash.
    return { image, gray: false };
  };
  const { input } = await prepareLeaf(method, samples, 0, 0, imageOf);
  const compute = await computeFor(config.backend, method);
  try {
    const view1 = await compute.view(input.pixels, input.view1);
    const view2 = await compute.view(input.pixels, input.view2);
    const each = method.size * method.size * 3;
    const tiles = Array.from({ length: count }, (_, slot) => {
      const index = sampleAt(method.seed, samples.length, slot);
      const original = images.get(index);
      return {
        view1: view1.subarray(slot * each, (slot + 1) * each),
        view2: view2.subarray(slot * each, (slot + 1) * each),
        label: samples[index]?.path ?? '',
        ...(original ? { original } : {}),
      };
    });
    await writeFile(out, await contactSheet(tiles, method.size));
  } finally {
    await compute.close();
  }
  return count;
}
