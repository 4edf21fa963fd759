/**
 * What indexing found, kept between runs: by file, valid while its size and times are the same.
 *
 * One file of JSON lines a data set, in the user's cache folder under the hash of the data's real
 * path. It only saves work: a line that does not read is passed over, a cache that cannot be read
 * or written is none, and what is read for training is checked by hash whatever stood here.
 */
import { createReadStream, type BigIntStats } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { sha256Of } from './fingerprint.ts';

/** Changed whenever what is kept, or how an image is judged, changes. */
const cacheVersion = 1;
const filesMax = 32;
/** Fewer findings than this are as quickly found again. */
const worthKeeping = 200;
/** A file written so shortly before it was read could change again within its time's grain. */
const settledMs = 2000;

/** Read when this module is loaded: a worker drops most of its environment later. */
export const userCache: string = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');

/** Where indexes are kept unless somebody says otherwise. */
export const indexCacheFolder: string = join(userCache, 'tandem', 'index');

export interface IndexCache {
  /** What was found for a file with these times and this size, else undefined. */
  get(key: string, stats: BigIntStats): unknown;
  /** Takes over what was found; `weight` is the number of images. */
  put(key: string, stats: BigIntStats, value: unknown, weight: number): void;
  /** Writes all that was got or put, where that is worth it. Never rejects. */
  save(): Promise<void>;
}

interface Line {
  key: string;
  stamp: string;
  value: unknown;
}

const stampOf = (s: BigIntStats): string => `${s.size}/${s.mtimeNs}/${s.ctimeNs}/${s.ino}`;

function parseLine(text: string): Line | null {
  try {
    const { key, stamp, value } = JSON.parse(text) as Partial<Line>;
    return typeof key === 'string' && typeof stamp === 'string' ? { key, stamp, value } : null;
  } catch {
    return null;
  }
}

/** The cache of the data at a real path; `folder` null: none is kept. */
export async function openIndexCache(
  folder: string | null,
  realPath: string,
  kind: string,
): Promise<IndexCache> {
  const name = sha256Of(new TextEncoder().encode(`${cacheVersion}\0${kind}\0${realPath}`));
  const path = folder === null ? null : join(folder, `${name}.jsonl`);
  const known = path === null ? new Map<string, Line>() : await readLines(path);
  const used = new Map<string, Line>();
  const began = Date.now();
  let found = 0;
  return {
    get(key, stats) {
      const line = known.get(key);
      if (line === undefined || line.stamp !== stampOf(stats)) return undefined;
      used.set(key, line);
      return line.value;
    },
    put(key, stats, value, weight) {
      if (path === null || began - Number(stats.mtimeMs) < settledMs) return;
      used.set(key, { key, stamp: stampOf(stats), value });
      found += weight;
    },
    async save() {
      if (path === null || folder === null || found < worthKeeping) return;
      await writeLines(folder, path, used.values()).catch(() => undefined);
    },
  };
}

async function readLines(path: string): Promise<Map<string, Line>> {
  const lines = new Map<string, Line>();
  try {
    const input = createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 20 });
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const line = parseLine(text);
      if (line !== null) lines.set(line.key, line);
    }
  } catch {
    // Absent or unreadable: everything is looked at again.
  }
  return lines;
}

async function writeLines(folder: string, path: string, lines: Iterable<Line>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const aside = `${path}.${process.pid}.tmp`;
  const handle = await open(aside, 'w');
  try {
    let text = '';
    for (const line of lines) {
      text += `${JSON.stringify(line)}\n`;
      if (text.length < 1 << 20) continue;
      await handle.writeFile(text);
      text = '';
    }
    await handle.writeFile(text);
  } catch (error) {
    await handle.close();
    await rm(aside, { force: true });
    throw error;
  }
  await handle.close();
  await rename(aside, path);
  await prune(folder);
}

/** Keeps the newest caches. */
async function prune(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl'));
  if (names.length <= filesMax) return;
  const dated = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  );
  dated.sort((a, b) => b.at - a.at);
  for (const { name } of dated.slice(filesMax)) await rm(join(folder, name), { force: true });
}
