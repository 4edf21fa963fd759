/**
 * `tandem import`: an encoder of PyTorch's world as an encoder folder.
 *
 * The numbers are copied as they are, under torchvision's names; heads and counters stay behind.
 */
import { basename } from 'node:path';
import { architecture } from '../shared/core/architecture.ts';
import { checkSize } from '../shared/core/config.ts';
import { encoderVersion, type EncoderRecord } from '../shared/core/encoder-record.ts';
import { preprocessingAt } from '../shared/core/preprocessing.ts';
import {
  checkFree,
  recognised,
  type TorchTensor,
  writeEncoderFolder,
} from '../shared/adapters/encoder-folder.ts';
import { badWeights, openSafetensors } from '../shared/adapters/safetensors-file.ts';
import { importCard } from './model-card.ts';

export interface ImportOptions {
  file: string;
  out: string;
  /** Side of an image that the network is meant for; null: 224, with a CIFAR stem 32. */
  size: number | null;
  signal: AbortSignal;
}

export interface Imported {
  record: EncoderRecord;
  /** Names in the file that were left out: heads. */
  leftOut: string[];
}

/** Reads the file, judges it, and writes the folder. Rejects with `bad-weights` or `bad-option`. */
export async function importEncoder(options: ImportOptions): Promise<Imported> {
  const { file: path, out, signal } = options;
  await checkFree(out);
  const file = await openSafetensors(path);
  try {
    const { model, naming, tensors, leftOut } = recognised(path, file);
    const size = options.size ?? (model.endsWith('-cifar') ? 32 : 224);
    checkSize(model, size);
    const read: TorchTensor[] = [];
    for (const { name, shape, located } of tensors) {
      signal.throwIfAborted();
      const values = await file.read(located);
      if (!values.every(Number.isFinite))
        throw badWeights(path, `${located.name} holds numbers that are not finite`);
      read.push({ name, shape, values });
    }
    const sha256 = await file.digest(signal);
    const record = await writeEncoderFolder(out, {
      tensors: read,
      heads: [],
      record: {
        version: encoderVersion,
        model,
        featureWidth: architecture(model).featureWidth,
        preprocessing: preprocessingAt(size),
        source: { kind: 'file', file: basename(path), sha256, naming },
      },
      card: (written) => importCard(written, leftOut),
    });
    return { record, leftOut };
  } finally {
    await file.close();
  }
}
