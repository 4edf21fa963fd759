/**
 * A `.tar.gz` that `data get` fetched, unpacked into a folder.
 *
 * Only regular files are made, only below the folder, only under names without `..`; links and
 * devices are passed over. The first folder of each name (`flower_photos/`) is left away. Bytes
 * are bounded before anything is written.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { openShard } from '../shared/adapters/shard.ts';
import { memberPath, tarMembers } from '../shared/adapters/tar-shard.ts';
import { Failure } from '../shared/core/failures.ts';

/** Unpacked bytes; the archives that are known here have less than 300 MB. */
const unpackedBytesMax = 8 * 1024 ** 3;
const chunkBytes = 256 * 1024;

/** A path below the folder, or null for a name that is passed over. */
export function safePath(name: string): string | null {
  const parts = name.split('/');
  if (parts.length < 2 || name.startsWith('/') || name.includes('\\')) return null;
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return null;
  return parts.slice(1).join('/');
}

/** Unpacks; resolves to the number of files. Rejects with `data-damaged` or `disk`. */
export async function unpackTarGz(
  archive: string,
  folder: string,
  signal: AbortSignal,
): Promise<number> {
  const tar = `${archive}.tar`;
  try {
    await gunzip(archive, tar, signal);
    return await unpackTar(tar, folder, signal);
  } finally {
    await rm(tar, { force: true });
  }
}

async function gunzip(from: string, to: string, signal: AbortSignal): Promise<void> {
  let bytes = 0;
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      const tooMuch = bytes > unpackedBytesMax;
      done(tooMuch ? new Error(`more than ${unpackedBytesMax} bytes unpacked`) : null, chunk);
    },
  });
  try {
    await pipeline(createReadStream(from), createGunzip(), bounded, createWriteStream(to), {
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith('E')) {
      throw new Failure('disk', `unpacking ${from}: ${message}. Free space, then try again.`);
    }
    throw new Failure('data-damaged', `${from} does not unpack: ${message}. Fetch it again.`);
  }
}

async function unpackTar(tar: string, folder: string, signal: AbortSignal): Promise<number> {
  const shard = await openShard(tar);
  let files = 0;
  try {
    for await (const { name, offset, size, type } of tarMembers(shard, signal)) {
      const path = type === '0' ? safePath(memberPath(name) ?? '') : null;
      if (path === null) continue;
      const target = join(folder, path);
      await mkdir(dirname(target), { recursive: true });
      const handle = await open(target, 'w');
      try {
        for (let at = 0; at < size; at += chunkBytes) {
          const piece = await shard.view(offset + at, Math.min(chunkBytes, size - at));
          if (piece !== null) await handle.writeFile(piece);
        }
      } finally {
        await handle.close();
      }
      files += 1;
    }
  } finally {
    await shard.close();
  }
  return files;
}
