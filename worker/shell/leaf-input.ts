/**
 * The input of a micro-batch: which samples, their pixels, the drawn views, and one hash of it all.
 *
 * Everything here is a function of the run and of (step, leaf): whoever computes the leaf makes
 * the same input, and the ledger can say so. Both views are made of the same image, one stream
 * position for both.
 */
import { createHash } from 'node:crypto';
import { drawView, type ViewDraws } from '../../shared/core/augment-draws.ts';
import { centreInput, viewInput } from '../../shared/core/augment-matrices.ts';
import type { Method } from '../../shared/core/method.ts';
import { leafPositions, sampleAt } from '../../shared/core/order.ts';
import type { DecodedImage, Sample } from '../../shared/core/sample.ts';
import type { ViewInput } from '../../shared/core/view.ts';
import type { LeafInput } from '../../shared/ports/compute.ts';

export interface KnownImage {
  image: DecodedImage;
  /** Hash of its pixels, hex. */
  hash: string;
}

/** Gives the decoded image of a sample; rejects with a `SampleFailure`. */
export type ImageOf = (sample: Sample) => Promise<KnownImage>;

/** The numbers of a view in a fixed order, for the input's hash. */
const drawNumbers = ({ crop, ...d }: ViewDraws): number[] => [
  crop.top,
  crop.left,
  crop.height,
  crop.width,
  d.flip ? 1 : 0,
  d.brightness,
  d.contrast,
  d.saturation,
  d.hue,
  d.gray ? 1 : 0,
  d.sigma,
];

export interface PreparedLeaf {
  input: LeafInput;
  /** SHA-256 over position, file hash, pixel hash and draws of each slot. */
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
  const { seed, batch, microBatch, augmentation, canvas } = method;
  const positions = leafPositions(step, leaf, batch, microBatch);
  const chosen = samplesOf(method, samples, positions);
  const known = await Promise.all(chosen.map(imageOf));
  const images = known.map(({ image }) => image);
  const hash = createHash('sha256');
  const draws: [ViewDraws[], ViewDraws[]] = [[], []];
  positions.forEach((position, slot) => {
    const image = images[slot] as DecodedImage;
    const numbers = draws.flatMap((list, view) => {
      const drawn = drawView(augmentation, seed, position, view + 1, image);
      list.push(drawn);
      return drawNumbers(drawn);
    });
    hash.update(Buffer.from((chosen[slot] as Sample).sha256, 'hex'));
    hash.update(Buffer.from((known[slot] as KnownImage).hash, 'hex'));
    hash.update(new Uint8Array(Float64Array.of(position, ...numbers).buffer));
  });
  return {
    input: {
      pixels: stackPixels(images, canvas),
      view1: viewInput(method, images, draws[0]),
      view2: viewInput(method, images, draws[1]),
    },
    inputHash: hash.digest('hex'),
  };
}

function samplesOf(
  { seed }: Method,
  samples: readonly Sample[],
  positions: readonly number[],
): Sample[] {
  return positions.map((q) => sampleOf(samples, sampleAt(seed, samples.length, q)));
}

/** Asks for the images of a leaf that may come, so that they are decoded when it does. */
export function askAhead(
  method: Method,
  samples: readonly Sample[],
  step: number,
  leaf: number,
  imageOf: ImageOf,
): void {
  const positions = leafPositions(step, leaf, method.batch, method.microBatch);
  for (const sample of samplesOf(method, samples, positions)) {
    // Only a guess: who needs the image asks again, and hears why it cannot be had.
    imageOf(sample).catch(() => undefined);
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
