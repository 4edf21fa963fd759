/**
 * Encoded bytes to pixels, the same pixels on every machine (NUMERICS 1).
 *
 * EXIF orientation applied, first frame, sRGB, alpha over black, gray and CMYK to RGB, 16 bit to
 * 8; shrunk to fit the canvas where it is larger, never enlarged; in the canvas's top-left corner.
 * sharp (libvips) does all but PPM. Its pixels depend on its version, not on threads or SIMD; the
 * canary of the device class holds a decoded image, and every sample's pixel hash is kept.
 */
import { createHash } from 'node:crypto';
import sharp, { type Sharp } from 'sharp';
import { Failure } from '../../shared/core/failures.ts';
import type { DecodedImage } from '../../shared/core/sample.ts';
import { imageFormat } from '../../shared/wire/image-format.ts';
import { decodePpm } from '../../shared/wire/ppm.ts';

// The process decodes several images side by side instead of one on several threads, and keeps
// decoded pixels in its own bounded cache.
sharp.concurrency(1);
sharp.cache(false);

export const decodePixelsMax = 100_000_000;
const midGray = 128;

/**
 * Decodes one image into a canvas of `canvas` × `canvas` pixels.
 * Rejects with `sample-undecodable`: these bytes give no image, here or anywhere.
 */
export async function decodeImage(bytes: Uint8Array, canvas: number): Promise<DecodedImage> {
  try {
    const { data, info } = await opened(bytes)
      .flatten({ background: '#000' })
      .toColourspace('srgb')
      .resize({ width: canvas, height: canvas, fit: 'inside', withoutEnlargement: true })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels after conversion to RGB`);
    return placed(data, info.width, info.height, canvas);
  } catch (error) {
    const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new Failure(
      'sample-undecodable',
      `Expected a whole JPEG, PNG, WebP, GIF or PPM image; found ${bytes.length} bytes that do ` +
        `not decode (${message}). A mid-gray image stands in for it; replace or remove the file.`,
      { cause: error },
    );
  }
}

function opened(bytes: Uint8Array): Sharp {
  const format = imageFormat(bytes);
  if (format === null) throw new Error('first bytes of no known image format');
  if (format === 'ppm') {
    const { width, height, pixels } = decodePpm(bytes, decodePixelsMax);
    return sharp(pixels, { raw: { width, height, channels: 3 } });
  }
  // A cut file fails ('error' includes 'truncated'); a decoder's mere warning does not.
  return sharp(bytes, { failOn: 'error', limitInputPixels: decodePixelsMax, autoOrient: true });
}

function placed(rgb: Uint8Array, width: number, height: number, canvas: number): DecodedImage {
  const pixels = new Uint8Array(canvas * canvas * 3);
  for (let y = 0; y < height; y++) {
    pixels.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), y * canvas * 3);
  }
  return { pixels, height, width };
}

/** The mid-gray stand-in for an image that nobody can decode; it fills the canvas. */
export function grayImage(canvas: number): DecodedImage {
  return {
    pixels: new Uint8Array(canvas * canvas * 3).fill(midGray),
    height: canvas,
    width: canvas,
  };
}

/** SHA-256 over height and width (u32, little-endian) and all pixels of the canvas, hex. */
export function pixelHash(image: DecodedImage): string {
  const sizes = new Uint8Array(8);
  const view = new DataView(sizes.buffer);
  view.setUint32(0, image.height, true);
  view.setUint32(4, image.width, true);
  return createHash('sha256').update(sizes).update(image.pixels).digest('hex');
}
