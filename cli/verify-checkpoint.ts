/**
 * Checkpoints as `tandem verify` reads them: every byte hashed once, in pieces, and the state's
 * hashes compared with the ledger's.
 *
 * In the file tensors are sorted by name, and so they are in the flat vectors that the ledger
 * hashes: one pass gives the digest and all three hashes, whatever the size of the model.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from '../shared/core/architecture-types.ts';
import { initialStatistics, initialWeights } from '../shared/core/initialise.ts';
import type { LedgerRecord } from '../shared/core/ledger.ts';
import { checkpointName, type Manifest } from '../coordinator/shell/checkpoints.ts';
import type { StateHashes } from '../coordinator/shell/model-state.ts';
import { byName, encodeHeader } from '../shared/wire/safetensors.ts';
import { bytesOf } from '../shared/wire/tensors.ts';

const pieceBytes = 1 << 20;
export const parts = ['weights', 'momentum', 'statistics'] as const;
type Part = (typeof parts)[number];

interface Entry {
  name: string;
  shape: readonly number[];
  part: Part | 'step';
}

/** Every tensor of a checkpoint of this model, sorted by name. */
function entriesOf({ parameters, statistics }: Architecture): Entry[] {
  return [
    ...parameters.map(({ name, shape }): Entry => ({ name, shape, part: 'weights' })),
    ...parameters.map(
      ({ name, shape }): Entry => ({ name: `momentum.${name}`, shape, part: 'momentum' }),
    ),
    ...statistics.map(({ name, shape }): Entry => ({ name, shape, part: 'statistics' })),
    { name: 'step', shape: [], part: 'step' } satisfies Entry,
  ].sort(byName);
}

/** Bytes [from, from + length) of a file in pieces; fewer where it ends before. */
export async function* pieces(
  handle: FileHandle,
  from: number,
  length: number,
): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, length));
  for (let at = from; at < from + length; ) {
    const wanted = Math.min(buffer.length, from + length - at);
    const { bytesRead } = await handle.read(buffer, 0, wanted, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** What the seed draws: the hashes of the state of step 0. */
export function initialHashes(architecture: Architecture, seed: number): StateHashes {
  const hash = (values: Float32Array) => createHash('sha256').update(bytesOf(values)).digest('hex');
  return {
    weights: hash(initialWeights(architecture, seed)),
    momentum: hash(new Float32Array(architecture.parameterCount)),
    statistics: hash(initialStatistics(architecture)),
  };
}

export interface CheckpointTask {
  folder: string;
  step: number;
  architecture: Architecture;
  identity: string;
  /** The ledger's record of its last step; null at step 0. */
  record: LedgerRecord | null;
  seed: number;
}

/** Null where file, manifest and ledger agree to the byte; else what does not. */
export async function checkpointFault(task: CheckpointTask): Promise<string | null> {
  const at = join(task.folder, 'checkpoints', checkpointName(task.step));
  let manifest: Manifest;
  try {
    manifest = JSON.parse(await readFile(join(at, 'manifest.json'), 'utf8')) as Manifest;
  } catch (error) {
    return `its manifest.json cannot be read (${(error as Error).message})`;
  }
  const { record } = task;
  const hashes = record ?? initialHashes(task.architecture, task.seed);
  const source = record ? 'the ledger' : 'the seed';
  const wanted: [what: string, found: unknown, expected: unknown, by: string][] = [
    ['version', manifest.version, 1, 'this release'],
    ['step', manifest.step, task.step, 'its name'],
    ['identity', manifest.identity, task.identity, 'run.json'],
    ['record', manifest.record, record?.hash ?? null, 'the ledger'],
    ...parts.map((part): [string, unknown, unknown, string] => [
      `hash of ${part}`,
      manifest.hashes?.[part],
      hashes[part],
      source,
    ]),
  ];
  for (const [what, found, expected, by] of wanted)
    if (found !== expected)
      return `its manifest's ${what} is ${String(found)}, by ${by} it is ${String(expected)}`;
  let read: Awaited<ReturnType<typeof readModel>>;
  try {
    read = await readModel(join(at, 'model.safetensors'), task.architecture, task.step);
  } catch (error) {
    return `its model.safetensors cannot be read (${(error as Error).message})`;
  }
  if (typeof read === 'string') return read;
  for (const part of parts)
    if (read.hashes[part] !== hashes[part])
      return `its ${part} hash to ${read.hashes[part]}, ${source} says ${hashes[part]}`;
  if (read.digest !== manifest.digest || read.bytes !== manifest.bytes)
    return `its ${read.bytes} bytes hash to ${read.digest}, its manifest says ${manifest.digest}`;
  return null;
}

/** Digest of the whole file and hashes of the state in it; text where it is no such file. */
async function readModel(path: string, architecture: Architecture, step: number) {
  const entries = entriesOf(architecture);
  const { header, tensors } = encodeHeader(entries);
  const last = tensors.at(-1);
  const bytes = last === undefined ? 0 : last.offset + last.length;
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size !== bytes) return `it has ${size} bytes where a checkpoint of this model has ${bytes}`;
    const digest = createHash('sha256');
    const found = Buffer.alloc(header.length);
    await handle.read(found, 0, header.length, 0);
    if (!found.equals(header)) return 'its header is not the one of this model';
    digest.update(found);
    const state = { weights: createHash('sha256'), momentum: createHash('sha256') };
    const hashes = { ...state, statistics: createHash('sha256') };
    for (const [i, { part }] of entries.entries()) {
      const { offset = 0, length = 0 } = tensors[i] ?? {};
      for await (const piece of pieces(handle, offset, length)) {
        digest.update(piece);
        if (part !== 'step') hashes[part].update(piece);
        else if (piece.readFloatLE(0) !== Math.fround(step))
          return `its step is ${piece.readFloatLE(0)}`;
      }
    }
    const [weights = '', momentum = '', statistics = ''] = parts.map((part) =>
      hashes[part].digest('hex'),
    );
    return { bytes, digest: digest.digest('hex'), hashes: { weights, momentum, statistics } };
  } finally {
    await handle.close();
  }
}

/** Steps that have a checkpoint, oldest first. */
export async function checkpointsOf(folder: string): Promise<number[]> {
  const names = await readdir(join(folder, 'checkpoints')).catch(() => []);
  return names
    .flatMap((name) => (/^step-\d{8,}$/.test(name) ? [Number(name.slice(5))] : []))
    .sort((a, b) => a - b);
}
