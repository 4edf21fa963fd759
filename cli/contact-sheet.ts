/**
 * A contact sheet: each image beside the two views drawn from it, as one PNG.
 *
 * `tandem data preview` writes it so that a person can see what the network will see: that both
 * views show the same photograph, and what the crops and colours do to it. Sheets are two or more
 * blocks wide so that they fit a screen. Captions need a font on the machine; pictures do not.
 */
import sharp, { type OverlayOptions } from 'sharp';
import type { DecodedImage } from '../shared/core/sample.ts';

/** Pixels of a square view [size, size, 3]: bytes, or floats in [0, 1]. */
export type ViewPixels = Float32Array | Uint8Array;

export interface ContactTile {
  view1: ViewPixels;
  view2: ViewPixels;
  /** Caption under the tile. */
  label: string;
  /** The image in its canvas; left blank where it is absent. */
  original?: DecodedImage;
}

export const contactTilesMax = 96;
const gap = 10;
const headerHeight = 34;
const captionHeight = 22;
/** Views below this many pixels are shown enlarged by a whole factor. */
const shownMin = 96;
const blocksAcross = 3;

/** The PNG file of at most `contactTilesMax` tiles; `size` is the side of a view, pixels. */
export async function contactSheet(tiles: readonly ContactTile[], size: number): Promise<Buffer> {
  if (tiles.length === 0 || tiles.length > contactTilesMax) {
    throw new RangeError(`1 to ${contactTilesMax} tiles, found ${tiles.length}`);
  }
  const side = size * Math.max(1, Math.ceil(shownMin / size));
  const columns = Math.min(blocksAcross, tiles.length);
  const blockWidth = 3 * side + 2 * 3;
  const blockHeight = side + captionHeight;
  const width = gap + columns * (blockWidth + gap);
  const height = headerHeight + Math.ceil(tiles.length / columns) * (blockHeight + gap);
  const overlays: OverlayOptions[] = [];
  const captions: string[] = [];
  for (const [i, tile] of tiles.entries()) {
    const left = gap + (i % columns) * (blockWidth + gap);
    const top = headerHeight + Math.floor(i / columns) * (blockHeight + gap);
    const pictures = [originalPixels(tile.original, side), viewPixels(tile.view1, size, side)];
    pictures.push(viewPixels(tile.view2, size, side));
    for (const [column, input] of (await Promise.all(pictures)).entries()) {
      if (input === null) continue;
      const at = left + column * (side + 3);
      overlays.push({ input, raw: { width: side, height: side, channels: 3 }, left: at, top });
    }
    captions.push(text(left, top + side + 15, 'caption', tile.label, blockWidth / 7));
    if (i >= columns) continue;
    for (const [column, name] of ['original', 'view 1', 'view 2'].entries()) {
      captions.push(text(left + column * (side + 3), 22, 'name', name, 20));
    }
  }
  overlays.push({ input: Buffer.from(captionLayer(width, height, captions)), left: 0, top: 0 });
  return sharp({ create: { width, height, channels: 3, background: '#f4f5f7' } })
    .composite(overlays)
    .png({ compressionLevel: 9 })
    .toBuffer();
}

/** The image fitted into the middle of a square, on the paper's colour. */
async function originalPixels(
  image: DecodedImage | undefined,
  side: number,
): Promise<Buffer | null> {
  if (image === undefined) return null;
  const canvas = Math.round(Math.sqrt(image.pixels.length / 3));
  // Two pipelines: sharp would resize before it crops.
  const cropped = await sharp(image.pixels, { raw: { width: canvas, height: canvas, channels: 3 } })
    .extract({ left: 0, top: 0, width: image.width, height: image.height })
    .raw()
    .toBuffer();
  return sharp(cropped, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize({ width: side, height: side, fit: 'contain', background: '#e3e6ea' })
    .raw()
    .toBuffer();
}

/** A view as bytes, enlarged without smoothing so that its pixels stay to be seen. */
async function viewPixels(view: ViewPixels, size: number, side: number): Promise<Buffer> {
  if (view.length !== size * size * 3) {
    throw new RangeError(`a view of ${size * size * 3} numbers, found ${view.length}`);
  }
  return sharp(viewBytes(view), { raw: { width: size, height: size, channels: 3 } })
    .resize({ width: side, height: side, kernel: 'nearest' })
    .raw()
    .toBuffer();
}

function viewBytes(view: ViewPixels): Uint8Array {
  if (view instanceof Uint8Array) return view;
  return Uint8Array.from(view, (value) => Math.round(Math.min(1, Math.max(0, value)) * 255));
}

function captionLayer(width: number, height: number, captions: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
<style>text { font-family: 'DejaVu Sans', 'Noto Sans', Arial, sans-serif; font-size: 12px; }
.name { font-weight: 600; fill: #1c2430; } .caption { fill: #5b6675; }</style>
${captions.join('\n')}
</svg>`;
}

function text(x: number, y: number, kind: string, content: string, lettersMax: number): string {
  // Graphemes may be cut, a caption is no data; control characters are not XML at all.
  const letters = [...content].filter((c) => c >= ' ');
  const fitting =
    letters.length <= lettersMax
      ? letters.join('')
      : `…${letters.slice(-Math.max(1, Math.floor(lettersMax) - 1)).join('')}`;
  const safe = fitting.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  return `<text x="${x}" y="${y}" class="${kind}">${safe}</text>`;
}
