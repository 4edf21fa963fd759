/**
 * A safetensors file that may come from anywhere: opened, its header judged, tensors read one by one.
 *
 * Nothing in it is run and nothing is believed: the header is at most 8 MiB of UTF-8 and read by its
 * grammar, tensors tile the data, and memory is asked for only by who knows how much a tensor should
 * have. Rejects with `bad-weights`, naming file and tensor.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Failure } from '../core/failures.ts';
import { checkTiling, type HeaderTensor, parseHeader } from '../wire/safetensors-header.ts';
import { floatsOf } from '../wire/tensors.ts';

const headerBytesMax = 8 * 1024 * 1024;

export interface SafetensorsFile {
  tensors: readonly HeaderTensor[];
  /** The values of an F32 tensor. */
  read(tensor: HeaderTensor): Promise<Float32Array>;
  /** SHA-256 of the whole file. */
  digest(signal?: AbortSignal): Promise<string>;
  close(): Promise<void>;
}

const advice =
  'Expected a safetensors file; from a PyTorch checkpoint: ' +
  'safetensors.torch.save_file(state_dict, FILE)';

export function badWeights(path: string, what: string, cause?: unknown): Failure {
  return new Failure('bad-weights', `${path}: ${what}`, { cause });
}

/** Opens a file and judges its header; to be closed. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  let handle: FileHandle;
  try {
    // Without O_NONBLOCK a pipe would be waited for without end.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw badWeights(path, `it cannot be read (${(error as Error).message}). ${advice}`, error);
  }
  try {
    return await judged(path, handle);
  } catch (error) {
    await handle.close();
    if (error instanceof Failure) throw error;
    throw badWeights(path, (error as Error).message, error);
  }
}

async function judged(path: string, handle: FileHandle): Promise<SafetensorsFile> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw badWeights(path, `it is no plain file. ${advice}`);
  const { size } = stat;
  if (size < 8) throw badWeights(path, `it has ${size} bytes. ${advice}`);
  const length = (await exactly(path, handle, 0, 8)).readBigUInt64LE(0);
  if (length > BigInt(headerBytesMax) || length > BigInt(size - 8)) {
    const most = Math.min(headerBytesMax, size - 8);
    throw badWeights(
      path,
      `its first eight bytes announce a header of ${length} bytes, at most ${most} can be. ${advice}`,
    );
  }
  const headerEnd = 8 + Number(length);
  let text: string;
  try {
    const bytes = await exactly(path, handle, 8, Number(length));
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw badWeights(path, 'its header is not UTF-8', error);
  }
  const tensors = parseHeader(text);
  checkTiling(tensors, size - headerEnd);
  return {
    tensors,
    async read(tensor) {
      const length = tensor.end - tensor.start;
      return floatsOf(await exactly(path, handle, headerEnd + tensor.start, length));
    },
    async digest(signal) {
      const hash = createHash('sha256');
      const piece = Buffer.allocUnsafe(1 << 20);
      for (let at = 0; at < size; ) {
        signal?.throwIfAborted();
        const { bytesRead } = await handle.read(piece, 0, piece.length, at);
        if (bytesRead === 0) throw badWeights(path, 'it became shorter while it was read');
        hash.update(piece.subarray(0, bytesRead));
        at += bytesRead;
      }
      return hash.digest('hex');
    },
    close: () => handle.close(),
  };
}

async function exactly(
  path: string,
  handle: FileHandle,
  from: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(buffer, at, length - at, from + at);
    if (bytesRead === 0) throw badWeights(path, 'it became shorter while it was read');
    at += bytesRead;
  }
  return buffer;
}
