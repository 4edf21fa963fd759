/**
 * `tandem export`: a checkpoint's encoder and heads as PyTorch takes them, and a card for people.
 *
 * Weights and running statistics are copied, transposed to PyTorch's layout; momentum stays behind.
 * So the bytes of both files are a function of the run, as the checkpoint's are.
 */
import { join } from 'node:path';
import { architecture } from '../shared/core/architecture.ts';
import { encoderVersion, type EncoderRecord } from '../shared/core/encoder-record.ts';
import { epochsAfter } from '../shared/core/order.ts';
import { preprocessingAt } from '../shared/core/preprocessing.ts';
import { shareCount } from '../shared/core/split.ts';
import { toTorch, torchShape } from '../shared/core/torch-layout.ts';
import {
  checkFree,
  type TorchTensor,
  writeEncoderFolder,
} from '../shared/adapters/encoder-folder.ts';
import { openSafetensors } from '../shared/adapters/safetensors-file.ts';
import type { ChosenCheckpoint } from './checkpoint-path.ts';
import { evaluationsOf } from './evaluations.ts';
import { exportCard } from './model-card.ts';
import { summaryOf } from './run-folder.ts';

const prefix = 'encoder.';

/** Encoder and heads of a checkpoint's file, in PyTorch's layout. */
export async function torchTensors(
  path: string,
  signal: AbortSignal,
): Promise<{ encoder: TorchTensor[]; heads: TorchTensor[] }> {
  const encoder: TorchTensor[] = [];
  const heads: TorchTensor[] = [];
  const file = await openSafetensors(path);
  try {
    for (const tensor of file.tensors) {
      signal.throwIfAborted();
      const { name, shape } = tensor;
      if (name === 'step' || name.startsWith('momentum.')) continue;
      const values = toTorch(await file.read(tensor), shape);
      const own = name.startsWith(prefix);
      const entry = { name: own ? name.slice(prefix.length) : name, values };
      (own ? encoder : heads).push({ ...entry, shape: torchShape(shape) });
    }
  } finally {
    await file.close();
  }
  return { encoder, heads };
}

/** Writes the folder. */
export async function exportEncoder(
  checkpoint: ChosenCheckpoint,
  out: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<EncoderRecord> {
  await checkFree(out);
  const { run, name, step, record, manifest } = checkpoint;
  const { method, fingerprint, samples } = record;
  const seen = samples - shareCount(samples, method.validation ?? 0);
  const epoch = epochsAfter(step, method.batch, seen);
  const { encoder, heads } = await torchTensors(
    join(checkpoint.folder, 'model.safetensors'),
    signal,
  );
  const evaluations = (await evaluationsOf(run, say)).filter(
    ({ checkpoint: of }) => of.digest === manifest.digest,
  );
  const summary = await summaryOf(run);
  return writeEncoderFolder(out, {
    tensors: encoder,
    heads,
    record: {
      version: encoderVersion,
      model: method.model,
      featureWidth: architecture(method.model).featureWidth,
      preprocessing: preprocessingAt(method.size),
      source: {
        ...{ kind: 'run', run: name, step, epoch, checkpoint: manifest.digest },
        ...{ identity: manifest.identity, fingerprint, reproducible: manifest.reproducible },
        ...{ objective: method.objective, validation: method.validation ?? 0, seed: method.seed },
      },
    },
    card: (written) => exportCard(written, { run: record, step, summary, evaluations }),
  });
}
