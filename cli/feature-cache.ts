/**
 * Features that were extracted before, for the next probe, vote or split of the same network.
 *
 * A file of f32 values a question (network as served, image size, precision, images, calibration),
 * in the user's cache folder, with a header line that holds their SHA-256. It only saves work: what
 * is damaged or of another question is none, and a cache that cannot be written is no fault.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { userCache } from '../shared/adapters/index-cache.ts';
import { sha256Of } from '../shared/adapters/fingerprint.ts';
import { bytesOf, copyFloats } from '../shared/wire/tensors.ts';
import type { Extraction } from '../coordinator/evaluation.ts';

export const featureCacheFolder: string = join(userCache, 'tandem', 'features');

/** The files used longest ago go first. */
const filesMax = 64;
const bytesMax = 2 * 1024 ** 3;
const headerBytesMax = 8192;

interface Header extends Omit<Extraction, 'features'> {
  question: string;
  values: number;
  sha256: string;
}

const fileOf = (folder: string, question: string): string =>
  join(folder, `${question.slice(0, 40)}.f32`);

/** What was kept for a question of so many values, or null. */
export async function keptFeatures(
  question: string,
  values: number,
  folder: string = featureCacheFolder,
): Promise<Extraction | null> {
  try {
    const path = fileOf(folder, question);
    const file = await readFile(path);
    const end = file.subarray(0, headerBytesMax).indexOf(10);
    const header = JSON.parse(file.toString('utf8', 0, end)) as Header;
    const data = file.subarray(end + 1);
    const whole = header.question === question && header.values === values;
    if (!whole || data.length !== 4 * values || sha256Of(data) !== header.sha256) return null;
    const features = new Float32Array(values);
    copyFloats(data, features, 0);
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined);
    const { width, backbone, device } = header;
    return { features, width, backbone, device };
  } catch {
    return null;
  }
}

/** Keeps features for a question. Never rejects. */
export async function keepFeatures(
  question: string,
  { features, width, backbone, device }: Extraction,
  folder: string = featureCacheFolder,
): Promise<void> {
  const path = fileOf(folder, question);
  const aside = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(folder, { recursive: true });
    const data = bytesOf(features);
    const values = features.length;
    const header: Header = { question, values, sha256: sha256Of(data), width, backbone, device };
    await writeFile(aside, Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), data]));
    await rename(aside, path);
    await prune(folder);
  } catch {
    await rm(aside, { force: true }).catch(() => undefined);
  }
}

async function prune(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.f32'));
  const files = await Promise.all(
    names.map(async (name) => ({ path: join(folder, name), ...(await stat(join(folder, name))) })),
  );
  files.sort((a, b) => b.mtimeMs - a.mtimeMs);
  let bytes = 0;
  for (const [i, { path, size }] of files.entries()) {
    bytes += size;
    if (i >= filesMax || bytes > bytesMax) await rm(path, { force: true });
  }
}
