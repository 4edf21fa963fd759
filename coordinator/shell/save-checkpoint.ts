/**
 * Checkpoints of the state as it stands: beside training, and the one with which a run stops or ends.
 */
import { join } from 'node:path';
import { asFailure } from '../../shared/core/failures.ts';
import { fromF64Bits } from '../../shared/core/ledger.ts';
import {
  checkpointName,
  holds,
  type Manifest,
  pruneCheckpoints,
  readManifest,
  writeCheckpoint,
} from './checkpoints.ts';
import type { Record } from './commit.ts';
import { readCurrent } from './model-state.ts';
import type { RunContext } from './run-context.ts';

/** Writes a checkpoint of the current state while training goes on; one at a time. */
export function checkpoint(context: RunContext, record: Record): Promise<Manifest> {
  const next = context.saving.then(() => saveCheckpoint(context, record));
  context.saving = next.catch(() => undefined);
  return next;
}

async function saveCheckpoint(context: RunContext, record: Record): Promise<Manifest> {
  const { folder, plan, model, run } = context;
  const written = writeCheckpoint({
    folder,
    generation: plan.generation,
    architecture: model.architecture,
    copy: model.current,
    step: model.step,
    identity: run.identity ?? '',
    hashes: model.hashes,
    record: model.step === 0 ? null : (context.ledger?.at(model.step - 1)?.hash ?? null),
    reproducible: run.reproducible,
  });
  readCurrent(model, written);
  const manifest = await written;
  await pruneCheckpoints(folder, context.config.keepCheckpoints, manifest.step);
  await record(
    {
      kind: 'checkpoint-saved',
      checkpoint: join('checkpoints', checkpointName(manifest.step)),
      digest: manifest.digest,
      bytes: manifest.bytes,
    },
    manifest.step === 0 ? 'the first weights are drawn' : 'it is due',
  );
  await context.picture.write(folder);
  await closeLedger(context, manifest);
  return manifest;
}

/** Records of so many bytes are closed to a part. */
const partBytes = 16 * 1024 ** 2;

/**
 * Compresses records behind a checkpoint, once they are many and the checkpoint has been read back
 * from the disk. A disk that fails costs the part; the records stay where they are.
 */
async function closeLedger({ ledger, folder }: RunContext, manifest: Manifest): Promise<void> {
  if (ledger === null || ledger.bytes < partBytes) return;
  if (!(await holds(folder, manifest))) return;
  await ledger.closePart(manifest.step).catch(() => undefined);
}

/**
 * The checkpoint that is due: a disk that fails costs the checkpoint, not the run. The last good
 * one stays, what was begun is removed to free its space, and an event says so.
 */
export async function dueCheckpoint(context: RunContext, record: Record): Promise<void> {
  const { step } = context.model;
  try {
    await checkpoint(context, record);
  } catch (error) {
    const { code, message } = asFailure(error);
    if (code !== 'disk') throw error;
    await record(
      {
        kind: 'warning',
        code: 'disk',
        message: `the checkpoint of step ${step} could not be written: ${message}`,
      },
      'training goes on; the last good checkpoint stays',
    );
  }
}

/** The loss curve; a disk that fails costs the picture. */
export async function drawPicture(context: RunContext, record: Record): Promise<void> {
  try {
    await context.picture.write(context.folder);
  } catch (error) {
    const message = `the loss curve could not be written: ${(error as Error).message}`;
    await record({ kind: 'warning', code: 'disk', message }, 'training goes on');
  }
}

export interface FinalCheckpoint {
  digest: string;
  /** Relative to the run folder. */
  path: string;
  step: number;
  loss: number;
  std: number;
}

/** The checkpoint with which a run stops or ends, unless it lies there already. */
export async function finalCheckpoint(
  context: RunContext,
  record: Record,
): Promise<FinalCheckpoint> {
  const { folder, model, ledger } = context;
  const there = await readManifest(folder, model.step);
  const whole =
    there?.hashes.weights === model.hashes.weights &&
    there.identity === context.run.identity &&
    (await holds(folder, there));
  const manifest = whole && there ? there : await checkpoint(context, record);
  const last = ledger?.at(model.step - 1);
  return {
    digest: manifest.digest,
    path: join('checkpoints', checkpointName(manifest.step)),
    step: manifest.step,
    loss: last ? fromF64Bits(last.loss) : Number.NaN,
    std: last ? fromF64Bits(last.std) : Number.NaN,
  };
}
