/**
 * Checkpoints: `checkpoints/step-00000012/{model.safetensors,manifest.json}`.
 *
 * The bytes of `model.safetensors` are a function of the run; its SHA-256 is the digest. A
 * checkpoint is written aside, fsynced and renamed, chunk by chunk so that training goes on.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../shared/adapters/durable.ts';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { Failure } from '../../shared/core/failures.ts';
import { chunkBytes } from '../../shared/wire/limits.ts';
import { byName, decodeHeader, encodeHeader, headerLength } from '../../shared/wire/safetensors.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { checkFence } from './run-folder.ts';
import { emptyCopy, type ModelCopy, type StateHashes } from './model-state.ts';

export interface Manifest {
  version: 1;
  step: number;
  /** SHA-256 of model.safetensors. */
  digest: string;
  bytes: number;
  identity: string;
  hashes: StateHashes;
  /** Hash of the ledger's record of the last step; null at step 0. */
  record: string | null;
  reproducible: boolean;
}

export const checkpointName = (step: number): string => `step-${String(step).padStart(8, '0')}`;

interface Part {
  name: string;
  shape: readonly number[];
  values: Float32Array;
}

/** Every tensor of a checkpoint, sorted by name. */
function partsOf(architecture: Architecture, copy: ModelCopy, step: number): Part[] {
  const cut = (prefix: string, specs: Architecture['parameters'], from: Float32Array): Part[] =>
    specs.map(({ name, shape, offset, length }) => ({
      name: prefix + name,
      shape,
      values: from.subarray(offset, offset + length),
    }));
  return [
    ...cut('', architecture.parameters, copy.weights),
    ...cut('momentum.', architecture.parameters, copy.momentum),
    ...cut('', architecture.statistics, copy.statistics),
    { name: 'step', shape: [], values: Float32Array.of(step) },
  ].sort(byName);
}

/** Bytes of a checkpoint in pieces of at most `chunkBytes`; small tensors travel together. */
function* piecesOf(parts: Part[]): Iterable<Uint8Array> {
  yield encodeHeader(parts).header;
  let small: Uint8Array[] = [];
  let held = 0;
  for (const { values } of parts) {
    const bytes = bytesOf(values);
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      const piece = bytes.subarray(at, at + chunkBytes);
      small.push(piece);
      held += piece.length;
      if (held < chunkBytes) continue;
      yield Buffer.concat(small);
      small = [];
      held = 0;
    }
  }
  if (held > 0) yield Buffer.concat(small);
}

/** The digest that a checkpoint of this state has, or would have. */
export function digestOf(architecture: Architecture, copy: ModelCopy, step: number): string {
  const hash = createHash('sha256');
  for (const piece of piecesOf(partsOf(architecture, copy, step))) hash.update(piece);
  return hash.digest('hex');
}

export interface CheckpointRequest {
  folder: string;
  generation: number;
  architecture: Architecture;
  copy: ModelCopy;
  step: number;
  identity: string;
  hashes: StateHashes;
  record: string | null;
  reproducible: boolean;
}

/** Writes a checkpoint durably; returns its manifest. What could not be finished is removed. */
export async function writeCheckpoint(request: CheckpointRequest): Promise<Manifest> {
  const root = join(request.folder, 'checkpoints');
  const final = join(root, checkpointName(request.step));
  const aside = `${final}.${request.generation}.tmp`;
  try {
    return await writeAside(request, root, final, aside);
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

async function writeAside(
  request: CheckpointRequest,
  root: string,
  final: string,
  aside: string,
): Promise<Manifest> {
  const { folder, copy, step } = request;
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { recursive: true });
  const hash = createHash('sha256');
  let bytes = 0;
  const handle = await open(join(aside, 'model.safetensors'), 'w');
  try {
    for (const piece of piecesOf(partsOf(request.architecture, copy, step))) {
      hash.update(piece);
      bytes += piece.length;
      await handle.writeFile(piece);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const manifest: Manifest = {
    version: 1,
    step,
    digest: hash.digest('hex'),
    bytes,
    identity: request.identity,
    hashes: request.hashes,
    record: request.record,
    reproducible: request.reproducible,
  };
  await writeManifest(aside, manifest);
  await checkFence(folder, request.generation);
  await rm(final, { recursive: true, force: true });
  await rename(aside, final);
  await syncFolder(root);
  return manifest;
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const handle: FileHandle = await open(join(folder, 'manifest.json'), 'w');
  try {
    await handle.writeFile(`${JSON.stringify(manifest, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(folder);
}

/** Steps that have a checkpoint folder, newest first. */
export async function checkpointSteps(folder: string): Promise<number[]> {
  const names = await readdir(join(folder, 'checkpoints')).catch(() => []);
  return names
    .flatMap((name) => (/^step-\d{8}$/.test(name) ? [Number(name.slice(5))] : []))
    .sort((a, b) => b - a);
}

/** The manifest of a checkpoint, or null where there is none that can be read. */
export async function readManifest(folder: string, step: number): Promise<Manifest | null> {
  const path = join(folder, 'checkpoints', checkpointName(step), 'manifest.json');
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Manifest;
  } catch {
    return null;
  }
}

/** Reads a checkpoint whole; rejects with `checkpoint-damaged` where a hash does not hold. */
export async function readCheckpoint(
  folder: string,
  step: number,
  architecture: Architecture,
): Promise<{ copy: ModelCopy; manifest: Manifest }> {
  const at = join(folder, 'checkpoints', checkpointName(step));
  const damaged = (what: string, cause?: unknown) =>
    new Failure('checkpoint-damaged', `the checkpoint of step ${step} is damaged: ${what}`, {
      cause,
    });
  let manifest: Manifest;
  let file: Buffer;
  try {
    manifest = JSON.parse(await readFile(join(at, 'manifest.json'), 'utf8')) as Manifest;
    file = await readFile(join(at, 'model.safetensors'));
  } catch (error) {
    throw damaged((error as Error).message, error);
  }
  if (file.length !== manifest.bytes)
    throw damaged(`${file.length} bytes where the manifest says ${manifest.bytes}`);
  const digest = createHash('sha256').update(file).digest('hex');
  if (digest !== manifest.digest) throw damaged('its bytes do not have the digest of the manifest');
  const length = headerLength(file);
  const located = decodeHeader(file.toString('utf8', 8, 8 + length), 8 + length);
  const copy = emptyCopy(architecture);
  const places = new Map(partsOf(architecture, copy, step).map((part) => [part.name, part]));
  for (const tensor of located) {
    const part = places.get(tensor.name);
    if (part === undefined || part.values.byteLength !== tensor.length)
      throw damaged(`tensor ${tensor.name} does not belong to this model`);
    bytesOf(part.values).set(file.subarray(tensor.offset, tensor.offset + tensor.length));
    places.delete(tensor.name);
  }
  if (places.size > 0) throw damaged(`tensor ${[...places.keys()][0]} is missing`);
  return { copy, manifest };
}

/** Does a checkpoint's file, read back piece by piece, have the digest of its manifest? */
export async function holds(folder: string, manifest: Manifest): Promise<boolean> {
  const path = join(folder, 'checkpoints', checkpointName(manifest.step), 'model.safetensors');
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return false;
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(chunkBytes);
  try {
    for (let at = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } catch {
    return false;
  } finally {
    await handle.close();
  }
  return hash.digest('hex') === manifest.digest;
}

/** Removes checkpoints that an earlier generation began and did not finish. */
export async function clearUnfinished(folder: string, generation: number): Promise<void> {
  const root = join(folder, 'checkpoints');
  for (const name of await readdir(root)) {
    const [, of] = /\.(\d+)\.tmp$/.exec(name) ?? [];
    if (of === undefined || Number(of) >= generation) continue;
    await rm(join(root, name), { recursive: true, force: true });
  }
}

/**
 * Removes what retention does not keep: the newest `keep` up to step `now`, and step 0, stay. Those of later
 * steps are from before a rewind, and their own steps decide of them.
 */
export async function pruneCheckpoints(folder: string, keep: number, now: number): Promise<void> {
  const steps = (await checkpointSteps(folder)).filter((step) => step <= now);
  for (const step of steps.slice(keep)) {
    if (step === 0) continue;
    await rm(join(folder, 'checkpoints', checkpointName(step)), { recursive: true, force: true });
  }
}
