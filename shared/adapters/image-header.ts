/**
 * Is this an image that a worker can decode? Told from its first bytes and its header, not its
 * pixels; the same question for a file in a folder and a member of an archive.
 */
import sharp from 'sharp';
import { imageFormat } from '../wire/image-format.ts';
import { messageOf } from './folder-walk.ts';

export const imagePixelsMax = 100_000_000;
/** An encoded image; it must fit in a worker's memory and cross the wire. */
export const imageBytesMax = 64 * 1024 * 1024;

/** Width and height as the header says them, pixels, before any rotation. */
export interface Shape {
  width: number;
  height: number;
}

/**
 * The shape of an image, or the reason to leave it out. `head` is the first bytes, `source` the
 * whole image: a file's path or its bytes.
 */
export async function imageShape(
  head: Uint8Array,
  source: string | Uint8Array,
): Promise<Shape | { reason: string }> {
  const format = imageFormat(head);
  if (format === null || format === 'ppm') {
    return { reason: 'its first bytes are not those of a JPEG, PNG, WebP or GIF image' };
  }
  try {
    // The limit is ours to state, so that the reason can name the size.
    const options = { failOn: 'error', limitInputPixels: false } as const;
    const { width, height } = await sharp(source, options).metadata();
    if (width * height > imagePixelsMax) {
      return { reason: `${width} × ${height} pixels, more than ${imagePixelsMax}` };
    }
    return { width, height };
  } catch (error) {
    return { reason: `its header does not read as ${format}: ${messageOf(error)}` };
  }
}

/** The class of an image: the first folder of its path, or null where it has none. */
export function folderLabel(path: string): string | null {
  const slash = path.indexOf('/');
  const first = slash < 0 ? '' : path.slice(0, slash);
  return first === '' || first === '.' || first === '..' ? null : first;
}
