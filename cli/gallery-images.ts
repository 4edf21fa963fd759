/**
 * The images of a gallery: one that is gone ends it, for a page of gray squares tells nothing; one
 * that nobody can decode is gray, as it was in training, and all of those are told in one line.
 */
import { plural } from '../shared/core/format.ts';
import { Failure } from '../shared/core/failures.ts';
import type { DecodedImage, Sample } from '../shared/core/sample.ts';
import type { Dataset } from '../shared/ports/dataset.ts';
import { decodeImage } from '../worker/shell/decode.ts';

/** Where images are read, and what people call it. */
export interface GallerySource {
  dataset: Dataset;
  data: string;
}

const namedMax = 3;

/** The decoded image, or null where its bytes give none. Rejects with `sample-unavailable`. */
export async function galleryImage(
  { dataset, data }: GallerySource,
  sample: Sample,
  canvas: number,
): Promise<DecodedImage | null> {
  const bytes = await dataset.read(sample);
  if (bytes === null)
    throw new Failure(
      'sample-unavailable',
      `${sample.path} is not in ${data} any more, or is another file than it was: put it back, or ` +
        'name the folder that holds the images now with --data DIR.',
    );
  return decodeImage(bytes, canvas).catch((error: unknown) => {
    if (error instanceof Failure && error.code === 'sample-undecodable') return null;
    throw error;
  });
}

/** What to say of the images that are gray, by their paths; null: none is. */
export function grayText(paths: readonly string[], of: number): string | null {
  if (paths.length === 0) return null;
  const named = paths.slice(0, namedMax).join(', ');
  const more = paths.length > namedMax ? ` and ${paths.length - namedMax} more` : '';
  return `${paths.length} of ${plural(of, 'image')} cannot be decoded and are gray: ${named}${more}`;
}
