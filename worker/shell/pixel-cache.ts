/**
 * Decoded images in memory, within a byte limit: the least recently used go first.
 *
 * Each image is decoded once at a time, whoever asks, and few at a time over all. The hash of its
 * pixels at the first decode stays after the pixels have left (32 bytes and a key a sample); a
 * later decode must match it, else this machine computes wrongly and the worker stops.
 */
import { Failure } from '../../shared/core/failures.ts';
import type { DecodedImage } from '../../shared/core/sample.ts';
import { pixelHash } from './decode.ts';

export interface PixelCacheOptions {
  /** Bytes of pixels kept in memory. */
  bytesMax: number;
  /** Decodes at a time; more wait in line. */
  decodesMax: number;
}

export const pixelCacheDefaults: PixelCacheOptions = {
  bytesMax: 1024 * 1024 * 1024,
  decodesMax: 4,
};

export interface PixelCache {
  /**
   * The image of a file by its SHA-256: from memory, or by `decode`. Callers share the image and
   * do not write to it. Rejects as `decode` does (nothing is kept then), or with `compute-failed`
   * where the pixels are not those of the first decode.
   */
  get(sha256: string, decode: () => Promise<DecodedImage>): Promise<DecodedImage>;
  /** What is kept now. */
  describe(): { images: number; bytes: number; decoding: number; hits: number; decodes: number };
}

/** An empty cache. One cache belongs to one canvas size. */
export function pixelCache(options: PixelCacheOptions = pixelCacheDefaults): PixelCache {
  // A Map lists its keys in order of insertion, so the first one is the least recently used.
  const kept = new Map<string, DecodedImage>();
  const firstHashes = new Map<string, string>();
  const inFlight = new Map<string, Promise<DecodedImage>>();
  const waiting: (() => void)[] = [];
  let bytes = 0;
  let decoding = 0;
  let hits = 0;
  let decodes = 0;

  function get(sha256: string, decode: () => Promise<DecodedImage>): Promise<DecodedImage> {
    const image = kept.get(sha256);
    if (image !== undefined) {
      hits++;
      kept.delete(sha256);
      kept.set(sha256, image);
      return Promise.resolve(image);
    }
    const underway = inFlight.get(sha256);
    if (underway !== undefined) return underway;
    const started = load(sha256, decode).finally(() => inFlight.delete(sha256));
    inFlight.set(sha256, started);
    return started;
  }

  async function load(sha256: string, decode: () => Promise<DecodedImage>): Promise<DecodedImage> {
    if (decoding >= options.decodesMax) await new Promise<void>((go) => waiting.push(go));
    else decoding++;
    try {
      const image = await decode();
      decodes++;
      check(sha256, image);
      keep(sha256, image);
      return image;
    } finally {
      // The place passes straight to the next in line, so nobody can slip in between.
      const next = waiting.shift();
      if (next === undefined) decoding--;
      else next();
    }
  }

  function check(sha256: string, image: DecodedImage): void {
    const found = pixelHash(image);
    const expected = firstHashes.get(sha256);
    if (expected === undefined) firstHashes.set(sha256, found);
    else if (expected !== found) {
      throw new Failure(
        'compute-failed',
        `The file ${sha256} decoded to other pixels than before: expected ${expected}, found ` +
          `${found}. This machine's memory or its image library is at fault; take it out.`,
      );
    }
  }

  function keep(sha256: string, image: DecodedImage): void {
    if (image.pixels.length > options.bytesMax) return;
    kept.set(sha256, image);
    bytes += image.pixels.length;
    for (const [oldest, { pixels }] of kept) {
      if (bytes <= options.bytesMax) break;
      kept.delete(oldest);
      bytes -= pixels.length;
    }
  }

  return {
    get,
    describe: () => ({ images: kept.size, bytes, decoding, hits, decodes }),
  };
}
