/**
 * The gallery of a report: some images and what a network holds for their like, by the pooled features
 * that surveys and evaluations use.
 *
 * Which images ask and which are searched follows from the list of the data set alone: every so many
 * of it, and of those a few of each class in turn. No label has a part in finding neighbours.
 */
import { basename } from 'node:path';
import sharp from 'sharp';
import type { Gallery, GalleryPicture, GalleryRow } from '../report/contents.ts';
import type { Config } from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';
import { nearestRows, spreadOver } from '../shared/core/gallery.ts';
import { normaliseRows } from '../shared/core/knn.ts';
import type { Sample } from '../shared/core/sample.ts';
import { grayImage } from '../worker/shell/decode.ts';
import { galleryImage, type GallerySource } from './gallery-images.ts';
import { galleryFeatures, galleryNetwork } from './gallery-network.ts';

const searchedMax = 2000;
const queries = 8;
const neighbours = 6;
/** Side of a picture in the page, pixels. */
const side = 112;

export interface GalleryRequest {
  /** A run, one of its checkpoints, or an encoder folder. */
  target: string;
  name: string;
  /** Null: the run's own, where they lay. */
  data: string | null;
  backend: Config['backend'];
}

export async function makeGallery(
  { target, name, data, backend }: GalleryRequest,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Gallery> {
  const network = await galleryNetwork(target, data, signal, say);
  const { samples, at } = network;
  if (samples.length < 2)
    throw new Failure('data-empty', `a gallery needs two images or more, ${name} has fewer.`);
  const searched = spreadOver(samples.length, searchedMax);
  const { features, width } = await galleryFeatures(network, searched, backend, signal, say);
  const rows = normaliseRows(features, width);
  const all = searched.map((_, row) => row);
  const found: GalleryRow[] = [];
  for (const row of queriesOf(searched.map((place) => samples[place]?.label ?? null))) {
    signal.throwIfAborted();
    const near: GalleryRow['neighbours'][number][] = [];
    for (const { row: other, similarity } of nearestRows(rows, width, row, all, neighbours))
      near.push({ ...(await pictureOf(network, samples[searched[other] ?? 0])), similarity });
    const query = await pictureOf(network, samples[searched[row] ?? 0]);
    found.push({ query, neighbours: near });
  }
  return { network: `${name}, ${at}`, searched: searched.length, size: side, rows: found };
}

/** A few of each class in turn; without classes, spread over all. Rows. */
function queriesOf(labels: readonly (string | null)[]): number[] {
  const classes = [...new Set(labels)].sort();
  const ofClass = classes.map((wanted) =>
    labels.flatMap((label, row) => (label === wanted ? [row] : [])),
  );
  const rounds = Math.ceil(queries / classes.length);
  const chosen: number[] = [];
  for (let round = 0; round < rounds; round += 1)
    for (const rows of ofClass) {
      const row = rows[spreadOver(rows.length, rounds + 1)[round + 1] ?? 0];
      if (row !== undefined && !chosen.includes(row)) chosen.push(row);
    }
  return chosen.slice(0, queries);
}

/** The image as a network sees it, the largest centred square, as a small JPEG. */
async function pictureOf(
  source: GallerySource,
  sample: Sample | undefined,
): Promise<GalleryPicture> {
  if (sample === undefined) throw new Error('a picture of no sample');
  const { path, label } = sample;
  const canvas = 3 * side;
  const image = await galleryImage(source, sample, canvas);
  const { pixels, width, height } = image ?? grayImage(canvas);
  const square = Math.min(width, height);
  const [left, top] = [Math.floor((width - square) / 2), Math.floor((height - square) / 2)];
  // Two pipelines: sharp would resize before it crops.
  const cropped = await sharp(pixels, { raw: { width: canvas, height: canvas, channels: 3 } })
    .extract({ left, top, width: square, height: square })
    .raw()
    .toBuffer();
  const jpeg = await sharp(cropped, { raw: { width: square, height: square, channels: 3 } })
    .resize(side, side)
    .jpeg({ quality: 74, mozjpeg: true })
    .toBuffer();
  return {
    path: label === null ? basename(path) : path,
    label,
    source: `data:image/jpeg;base64,${jpeg.toString('base64')}`,
  };
}
