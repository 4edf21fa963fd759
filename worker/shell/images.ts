/**
 * Decoded images by sample: from memory, else from the worker's own data, else from the coordinator
 * by content hash.
 */
import { asFailure, Failure, type FailureCode } from '../../shared/core/failures.ts';
import type { Sample } from '../../shared/core/sample.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import type { Dataset } from '../../shared/ports/dataset.ts';
import { decodeImage, grayImage } from './decode.ts';
import type { ImageOf } from './leaf-input.ts';
import { pixelCache } from './pixel-cache.ts';

/** A sample that could not be had, with which one. */
export class SampleFailure extends Error {
  readonly code: FailureCode;
  readonly sample: number;
  constructor(code: FailureCode, message: string, sample: number) {
    super(message);
    this.code = code;
    this.sample = sample;
  }
}

export interface ImageSource {
  /** Images where the samples in `gray` are mid-gray. */
  images(gray: readonly number[]): ImageOf;
}

export function imageSource(
  canvas: number,
  own: Dataset | null,
  fetch: (sha256: string, bytesMax: number) => Promise<Uint8Array>,
): ImageSource {
  const cache = pixelCache();
  const gray = grayImage(canvas);

  async function bytesOf(sample: Sample): Promise<Uint8Array> {
    const mine = (await own?.read(sample)) ?? null;
    if (mine !== null) return mine;
    const theirs = await fetch(sample.sha256, sample.bytes);
    if (sha256Of(theirs) !== sample.sha256)
      throw new Failure('data-changed', `${sample.path} arrived with another hash`);
    return theirs;
  }

  async function known(sample: Sample) {
    try {
      const image = await cache.get(sample.sha256, async () =>
        decodeImage(await bytesOf(sample), canvas),
      );
      return { image, gray: false };
    } catch (error) {
      const { code, message } = asFailure(error);
      throw new SampleFailure(code, `${sample.path}: ${message}`, sample.index);
    }
  }

  return {
    images(graySamples) {
      const grays = new Set(graySamples);
      return async (sample) =>
        grays.has(sample.index) ? { image: gray, gray: true } : known(sample);
    },
  };
}
