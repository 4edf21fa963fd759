/**
 * An encoder folder: `encoder.safetensors` (torchvision's names and layouts, no classifier),
 * `encoder.json`, and where there are any `heads.safetensors` and a card for people.
 *
 * Exports and imports are the same thing, so whatever was exported can be evaluated again. A folder
 * is made aside and renamed: it is whole or not there, and one that is there is never written into.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { architecture } from '../core/architecture.ts';
import { recognise } from '../core/encoder-naming.ts';
import { asEncoderRecord, encoderFiles, type EncoderRecord } from '../core/encoder-record.ts';
import { Failure } from '../core/failures.ts';
import type { ModelName } from '../core/method.ts';
import { fromTorch } from '../core/torch-layout.ts';
import { byName, encodeHeader } from '../wire/safetensors.ts';
import type { HeaderTensor } from '../wire/safetensors-header.ts';
import { bytesOf } from '../wire/tensors.ts';
import { makeFolder, syncFolder } from './durable.ts';
import { badWeights, openSafetensors, type SafetensorsFile } from './safetensors-file.ts';

/** A tensor in PyTorch's layout. */
export interface TorchTensor {
  name: string;
  shape: readonly number[];
  values: Float32Array;
}

/** An encoder as the compute port loads it: flat vectors of the model; heads are zero. */
export interface LoadedEncoder {
  record: EncoderRecord;
  weights: Float32Array;
  statistics: Float32Array;
}

export interface EncoderFolder {
  tensors: readonly TorchTensor[];
  heads: readonly TorchTensor[];
  record: Omit<EncoderRecord, 'digest'>;
  /** The card, from the record as it is written. */
  card: (record: EncoderRecord) => string;
}

/** `pt` says that layouts are PyTorch's, as Python's own writer does. */
const metadata = { format: 'pt' };

/** Throws `bad-option` where something lies at the place, or where its folder is not there. */
export async function checkFree(folder: string): Promise<void> {
  if (await stat(folder).catch(() => null))
    throw new Failure('bad-option', `--out ${folder} is there already: name a folder to be made.`);
}

/** Writes the folder and resolves to its record. */
export async function writeEncoderFolder(
  folder: string,
  content: EncoderFolder,
): Promise<EncoderRecord> {
  await checkFree(folder);
  const final = resolve(folder);
  const aside = join(dirname(final), `.${basename(final)}.${process.pid}.tmp`);
  try {
    await makeFolder(dirname(final));
    await mkdir(aside);
    const digest = await writeTensors(join(aside, encoderFiles.encoder), content.tensors);
    if (content.heads.length > 0)
      await writeTensors(join(aside, encoderFiles.heads), content.heads);
    const record: EncoderRecord = { ...content.record, digest };
    await writeDurably(join(aside, encoderFiles.record), [
      Buffer.from(`${JSON.stringify(record, null, 2)}\n`),
    ]);
    await writeDurably(join(aside, encoderFiles.card), [Buffer.from(content.card(record))]);
    await syncFolder(aside);
    await rename(aside, final);
    await syncFolder(dirname(final));
    return record;
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => undefined);
    if (error instanceof Failure) throw error;
    const message = `cannot write ${folder}: ${(error as Error).message}. Choose another --out`;
    throw new Failure('disk', message, { cause: error });
  }
}

/** The file's bytes are a function of the tensors alone; resolves to their SHA-256. */
async function writeTensors(path: string, tensors: readonly TorchTensor[]): Promise<string> {
  const sorted = [...tensors].sort(byName);
  return writeDurably(path, [
    encodeHeader(sorted, metadata).header,
    ...sorted.map(({ values }) => bytesOf(values)),
  ]);
}

async function writeDurably(path: string, pieces: readonly Uint8Array[]): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path, 'wx');
  try {
    for (const piece of pieces) {
      hash.update(piece);
      await handle.writeFile(piece);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

/** Is there an encoder folder (and not a run, a checkpoint or nothing)? */
export async function isEncoderFolder(path: string): Promise<boolean> {
  const record = await stat(join(path, encoderFiles.record)).catch(() => null);
  return record?.isFile() === true;
}

/** The encoder of a folder. Rejects with `bad-weights` where record and tensors are not sound. */
export async function readEncoderFolder(folder: string): Promise<LoadedEncoder> {
  const path = join(folder, encoderFiles.record);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw badWeights(path, `it cannot be read (${(error as Error).message})`, error);
  }
  const record = asEncoderRecord(value);
  if ('fault' in record) throw badWeights(path, record.fault);
  const file = await openSafetensors(join(folder, encoderFiles.encoder));
  try {
    const digest = await file.digest();
    if (digest !== record.digest)
      throw badWeights(
        join(folder, encoderFiles.encoder),
        `its bytes hash to ${digest}, encoder.json says ${record.digest}`,
      );
    const found = recognised(join(folder, encoderFiles.encoder), file, record.model);
    const { parameterCount, statisticCount } = architecture(record.model);
    const weights = new Float32Array(parameterCount);
    const statistics = new Float32Array(statisticCount);
    for (const { located, spec, kind } of found.tensors) {
      const values = fromTorch(await file.read(located), spec.shape);
      (kind === 'parameter' ? weights : statistics).set(values, spec.offset);
    }
    return { record, weights, statistics };
  } finally {
    await file.close();
  }
}

/** Which encoder the tensors of an open file make (`told`: must make), each with its place in it. */
export function recognised(path: string, file: SafetensorsFile, told: ModelName | null = null) {
  const found = recognise(file.tensors, told);
  if ('fault' in found) throw badWeights(path, found.fault);
  const places = new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
  const tensors = found.tensors.map((tensor) => ({
    ...tensor,
    located: places.get(tensor.found) as HeaderTensor,
  }));
  return { ...found, tensors };
}
