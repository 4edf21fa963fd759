/**
 * One file from the web into one file on the disk: resumed where it broke off, bounded, checked.
 *
 * The part that is there already is asked on from by Range; a server that sends the whole file
 * again is taken at its word. A connection that breaks or stands still is tried again a few times.
 * Only the SHA-256 decides whether the file is the right one.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { asFailure, Failure } from '../shared/core/failures.ts';

export interface DownloadOptions {
  url: string;
  /** Where the bytes go; what lies there is the beginning of the file. */
  file: string;
  /** Expected SHA-256, hex. */
  sha256: string;
  /** More bytes than this are never written. */
  bytesMax: number;
  signal: AbortSignal;
  onProgress?: (done: number, total: number | null) => void;
  /** A connection that says nothing for so long is given up, milliseconds. */
  silenceMs?: number;
  /** Waits before the next attempts, milliseconds. */
  backoffMs?: readonly number[];
}

const defaultBackoffMs = [500, 1000, 2000, 4000];

const sizeOf = async (file: string): Promise<number> =>
  (await stat(file).catch(() => null))?.size ?? 0;

async function hashOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash, { signal });
  return hash.digest('hex');
}

/** Fetches until the file is whole. Rejects with `download-failed`, `data-damaged` or `disk`. */
export async function download(options: DownloadOptions): Promise<void> {
  const { file, sha256, signal } = options;
  const resumed = (await sizeOf(file)) > 0;
  if (resumed && (await hashOf(file, signal)) === sha256) return;
  await fetchAll(options);
  let found = await hashOf(file, signal);
  if (found !== sha256 && resumed) {
    // What lay there was the beginning of something else.
    await rm(file);
    await fetchAll(options);
    found = await hashOf(file, signal);
  }
  if (found === sha256) return;
  await rm(file);
  throw new Failure(
    'data-damaged',
    `${options.url} has another SHA-256 than expected: expected ${sha256}, found ${found}. ` +
      'It was removed; try again, or check --url and --sha256.',
  );
}

async function fetchAll(options: DownloadOptions): Promise<void> {
  const backoff = options.backoffMs ?? defaultBackoffMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await fetchRest(options);
      return;
    } catch (error) {
      options.signal.throwIfAborted();
      const final = error instanceof Failure;
      if (final || attempt >= backoff.length)
        throw final ? error : unreachableFailure(options, error);
      await sleep(backoff[attempt], undefined, { signal: options.signal });
    }
  }
}

function unreachableFailure({ url, file }: DownloadOptions, error: unknown): Failure {
  // fetch says "fetch failed"; the reason is the cause.
  let reason = asFailure(error).message;
  for (let at = error; at instanceof Error; at = at.cause) reason = at.message || reason;
  return new Failure(
    'download-failed',
    `cannot fetch ${url}: ${reason}. Check the network; what arrived is kept in ${file} and the ` +
      'same command goes on from there. Without a network, fetch the file elsewhere and give its ' +
      'address with --url.',
    { cause: error },
  );
}

/** One connection: from the end of the file on. */
async function fetchRest(options: DownloadOptions): Promise<void> {
  const { url, file, bytesMax, signal, silenceMs = 30_000 } = options;
  const start = await sizeOf(file);
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), silenceMs);
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(new Error(`no byte for ${silenceMs} ms`)), silenceMs);
  };
  alive();
  try {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (start > 0) headers['range'] = `bytes=${start}-`;
    const response = await fetch(url, {
      headers,
      redirect: 'follow',
      signal: AbortSignal.any([signal, silent.signal]),
    });
    // Nothing after the last byte: the file is whole.
    if (response.status === 416) return void (await response.body?.cancel());
    if (response.status >= 500 || response.status === 429) {
      throw new Error(`the server answers ${response.status} ${response.statusText}`);
    }
    if (!response.ok || response.body === null) {
      throw new Failure(
        'download-failed',
        `cannot fetch ${url}: the server answers ${response.status} ${response.statusText}. ` +
          'Check --url.',
      );
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
    const from = response.status === 206 && Number(range?.[1]) === start ? start : 0;
    const length = response.headers.get('content-length');
    const total = length === null ? null : from + Number(length);
    const tooLong = (): Failure =>
      new Failure('data-damaged', `${url} is longer than ${bytesMax} bytes: check --url.`);
    if (total !== null && total > bytesMax) throw tooLong();
    const handle = await open(file, from === 0 ? 'w' : 'r+');
    try {
      let at = from;
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        alive();
        if (at + chunk.length > bytesMax) throw tooLong();
        await write(handle, chunk, at);
        at += chunk.length;
        options.onProgress?.(at, total);
      }
      if (total !== null && at < total) throw new Error(`${total - at} bytes are missing`);
    } finally {
      await handle.close();
    }
  } finally {
    clearTimeout(timer);
  }
}

async function write(
  handle: Awaited<ReturnType<typeof open>>,
  chunk: Uint8Array,
  at: number,
): Promise<void> {
  try {
    for (let from = 0; from < chunk.length; ) {
      const left = chunk.length - from;
      from += (await handle.write(chunk, from, left, at + from)).bytesWritten;
    }
  } catch (error) {
    const message = `writing the download: ${(error as Error).message}. Free space, then go on.`;
    throw new Failure('disk', message, { cause: error });
  }
}
