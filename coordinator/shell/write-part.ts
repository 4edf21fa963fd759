/**
 * Closing lines: the first ones of a file go to a compressed part, which is read back and compared
 * with the file before it counts. The file itself is shortened by its owner (`jsonl-file.ts`).
 */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip, createGzip } from 'node:zlib';
import { makeFolder, syncFolder } from '../../shared/adapters/durable.ts';
import { type NumberOf, type Part, partsFolder, stemOf } from './line-parts.ts';

const digits = (number: number): string => String(number).padStart(9, '0');

/** Where the lines that went into a part end in the file, and the part; null where there are none. */
export interface Closed {
  part: Part;
  bytes: number;
  lines: number;
}

const pieceBytes = 1 << 20;

/**
 * Writes the first lines of `source`, those with numbers below `until`, to a part, durably, and reads
 * it back. The source stays as it is.
 */
export async function writePart(
  file: string,
  source: FileHandle,
  generation: number,
  numberOf: NumberOf,
  until: number,
): Promise<Closed | null> {
  await makeFolder(partsFolder(file));
  const aside = join(partsFolder(file), `${stemOf(file)}.${generation}.tmp`);
  const handle = await open(aside, 'w');
  const gzip = createGzip({ level: 6 });
  let [first, last] = [-1, -1];
  let [bytes, lines] = [0, 0];
  try {
    const written = (async () => {
      for await (const chunk of gzip as AsyncIterable<Buffer>) await handle.writeFile(chunk);
      await handle.sync();
    })();
    written.catch(() => gzip.destroy());
    const buffer = Buffer.allocUnsafe(pieceBytes);
    let rest: Buffer = Buffer.alloc(0);
    read: for (let at = 0; ; ) {
      const { bytesRead } = await source.read(buffer, 0, pieceBytes, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      let held = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      for (let end = held.indexOf(10); end >= 0; end = held.indexOf(10)) {
        const number = numberOf(held.toString('utf8', 0, end));
        if (number !== null && number >= until) break read;
        if (number !== null) [first, last] = [first < 0 ? number : first, number];
        const line = Buffer.from(held.subarray(0, end + 1));
        // Where the disk fails nothing is drained any more, and `written` says why.
        if (!gzip.write(line)) await Promise.race([once(gzip, 'drain'), written]);
        bytes += line.length;
        lines += 1;
        held = held.subarray(end + 1);
      }
      rest = held;
    }
    gzip.end();
    await written;
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  } finally {
    gzip.destroy();
    await handle.close();
  }
  const name = `${stemOf(file)}.${digits(first)}-${digits(last)}.${generation}.jsonl.gz`;
  const part = { path: join(partsFolder(file), name), first, last, generation };
  if (first < 0 || !(await unpacksTo(aside, source, bytes))) {
    await rm(aside, { force: true });
    return null;
  }
  await rename(aside, part.path);
  await syncFolder(partsFolder(file));
  return { part, bytes, lines };
}

/** Does a part give the first `bytes` bytes of the file that it was made of? */
async function unpacksTo(path: string, source: FileHandle, bytes: number): Promise<boolean> {
  const stream = createReadStream(path);
  const unpacked = createGunzip();
  stream.on('error', (error) => unpacked.destroy(error));
  let at = 0;
  try {
    for await (const chunk of stream.pipe(unpacked) as AsyncIterable<Buffer>) {
      const same = Buffer.allocUnsafe(chunk.length);
      const { bytesRead } = await source.read(same, 0, chunk.length, at);
      if (bytesRead !== chunk.length || !same.equals(chunk)) return false;
      at += chunk.length;
    }
  } catch {
    return false;
  } finally {
    stream.destroy();
  }
  return at === bytes;
}
