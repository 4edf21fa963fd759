/**
 * A report on the disk: the page, and beside it a folder with each figure as SVG and as PNG.
 *
 * The PNG is drawn from the SVG in light colours at twice its size. Text in it needs a font on the
 * machine.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import sharp from 'sharp';
import type { Report } from '../report/page.ts';
import { makeFolder, replaceFile } from '../shared/adapters/durable.ts';
import { Failure } from '../shared/core/failures.ts';

export interface WrittenReport {
  page: string;
  figures: string[];
}

/** `report.html` → `report-figures` */
const figuresFolder = (out: string): string =>
  join(dirname(out), `${basename(out, extname(out))}-figures`);

/** Throws `bad-option` unless this names an HTML file in a folder that is there. */
export async function checkOut(out: string): Promise<void> {
  if (!/\.html?$/i.test(out))
    throw new Failure('bad-option', `--out expects the name of an HTML file, not "${out}".`);
  const folder = dirname(out);
  if ((await stat(folder).catch(() => null))?.isDirectory() !== true)
    throw new Failure('bad-option', `--out ${out}: there is no folder ${folder}. Make it first.`);
}

/** Writes page and figures; files that are there are replaced. */
export async function writeReport(
  { page, figures }: Report,
  out: string,
  signal: AbortSignal,
): Promise<WrittenReport> {
  const folder = figuresFolder(out);
  await makeFolder(folder);
  const written: string[] = [];
  for (const { id, file } of figures) {
    signal.throwIfAborted();
    const svg = join(folder, `${id}.svg`);
    await replaceFile(svg, file);
    const png = join(folder, `${id}.png`);
    await sharp(Buffer.from(file), { density: 144 }).png({ compressionLevel: 9 }).toFile(png);
    written.push(svg, png);
  }
  await replaceFile(out, page);
  return { page: out, figures: written };
}
