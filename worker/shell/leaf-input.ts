/**
 * The input of a micro-batch: which samples, their pixels, the drawn views, and the hash that says
 * which they are.
 *
 * Everything here is a function of the run and of (step, leaf): whoever computes the leaf makes
 * the same input, and the ledger can say so. Both views are made of the same image, one stream
 * position for both. The hash covers no pixel, so it can be made again without the photographs.
 */
import { drawView } from '../../shared/core/augment-draws.ts';
import { centreInput, viewInput } from '../../shared/core/augment-matrices.ts';
import { Failure } from '../../shared/core/failures.ts';
import { inputRecord, slotsOf } from '../../shared/core/input-record.ts';
import type { Method } from '../../shared/core/method.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import type { DecodedImage, Sample } from '../../shared/core/sample.ts';
import type { ViewInput } from '../../shared/core/view.ts';
import type { LeafInput } from '../../shared/ports/compute.ts';

export interface KnownImage {
  image: DecodedImage;
  /** True where nobody can decode the sample and mid-gray stands in for it. */
  gray: boolean;
}

/** Gives the decoded image of a sample; rejects with a `SampleFailure`. */
export type ImageOf = (sample: Sample) => Promise<KnownImage>;

export interface PreparedLeaf {
  input: LeafInput;
  /** SHA-256 over file hash, position and draws of each slot (`inputRecord`). */
  inputHash: string;
}

/** [n, canvas, canvas, 3] */
export function stackPixels(images: readonly DecodedImage[], canvas: number): Uint8Array {
  const each = canvas * canvas * 3;
  const pixels = new Uint8Array(images.length * each);
  images.forEach((image, i) => pixels.set(image.pixels, i * each));
  return pixels;
}

export async function prepareLeaf(
  method: Method,
  samples: readonly Sample[],
  step: number,
  leaf: number,
  imageOf: ImageOf,
): Promise<PreparedLeaf> {
  const { seed, augmentation, canvas } = method;
  const slots = slotsOf(method, samples.length, step, leaf);
  const known = await Promise.all(slots.map(({ sample }) => imageOf(sampleOf(samples, sample))));
  const images = known.map(({ image }) => image);
  const drawn = (view: number) =>
    slots.map(({ position }, slot) =>
      drawView(augmentation, seed, position, view, images[slot] as DecodedImage),
    );
  const grays = new Set(slots.filter((_, i) => known[i]?.gray).map(({ sample }) => sample));
  const hashOf = (sample: number) => Buffer.from(sampleOf(samples, sample).sha256, 'hex');
  return {
    input: {
      pixels: stackPixels(images, canvas),
      view1: viewInput(method, images, drawn(1)),
      view2: viewInput(method, images, drawn(2)),
      ...labelsOf(
        method,
        slots.map(({ sample }) => sampleOf(samples, sample)),
      ),
    },
    inputHash: sha256Of(inputRecord(method, slots, hashOf, (sample) => grays.has(sample))),
  };
}

/** Class numbers of the images, where the method learns from them. */
function labelsOf(method: Method, images: readonly Sample[]): { labels?: Int32Array } {
  const { classes } = method;
  if (classes === undefined) return {};
  const labels = images.map(({ path, label }) => {
    const number = label === null ? -1 : classes.indexOf(label);
    if (number >= 0) return number;
    throw new Failure(
      'data-unlabelled',
      `${path} is of none of the run's ${classes.length} classes`,
    );
  });
  return { labels: Int32Array.from(labels) };
}

/** Asks for the images of a leaf that may come, so that they are decoded when it does. */
export function askAhead(
  method: Method,
  samples: readonly Sample[],
  step: number,
  leaf: number,
  imageOf: ImageOf,
): void {
  for (const { sample } of slotsOf(method, samples.length, step, leaf)) {
    // Only a guess: who needs the image asks again, and hears why it cannot be had.
    imageOf(sampleOf(samples, sample)).catch(() => undefined);
  }
}

function sampleOf(samples: readonly Sample[], index: number): Sample {
  const sample = samples[index];
  if (sample === undefined) throw new Error(`sample ${index} of ${samples.length}`);
  return sample;
}

/** The evaluation input of samples [first, first + count): centre crops, no augmentation. */
export async function prepareSurvey(
  method: Method,
  samples: readonly Sample[],
  first: number,
  count: number,
  imageOf: ImageOf,
): Promise<{ pixels: Uint8Array; view: ViewInput }> {
  const chosen = samples.slice(first, first + count);
  const images = (await Promise.all(chosen.map(imageOf))).map(({ image }) => image);
  return { pixels: stackPixels(images, method.canvas), view: centreInput(method, images) };
}
