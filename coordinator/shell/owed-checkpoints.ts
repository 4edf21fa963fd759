/**
 * Checkpoints that an earlier life owed and did not live to write.
 *
 * That of step 0 is always kept, and a coordinator can die between the identity and its rename. A
 * checkpoint that was due is written in the background, so a death soon after takes it along; with
 * deaths often enough there would never be one, and the loss of the machine would cost the whole run.
 */
import { asFailure } from '../../shared/core/failures.ts';
import { checkpointName, checkpointSteps, readManifest, writeCheckpoint } from './checkpoints.ts';
import { checkpoint, type Record } from './commit.ts';
import { hashesOf, initialCopy } from './model-state.ts';
import type { RunContext } from './run-context.ts';

/** Writes that of step 0 where it is missing: durable on return, before anyone may get a lease. */
export async function owedFirstCheckpoint(context: RunContext, record: Record): Promise<void> {
  const { folder, plan, model, run } = context;
  if (run.identity === null || (await readManifest(folder, 0)) !== null) return;
  const copy = initialCopy(model.architecture, run.method.seed);
  const { digest, bytes } = await writeCheckpoint({
    folder,
    generation: plan.generation,
    architecture: model.architecture,
    copy,
    step: 0,
    identity: run.identity,
    hashes: hashesOf(copy),
    record: null,
    reproducible: run.reproducible,
  });
  const path = `checkpoints/${checkpointName(0)}`;
  const because = 'an earlier life died before the first weights were durable';
  await record({ kind: 'checkpoint-saved', checkpoint: path, digest, bytes }, because);
}

/** Writes one of the state as it is now, in the background, where the newest is too old. */
export async function owedCheckpoint(context: RunContext, record: Record): Promise<void> {
  const { folder, plan, model } = context;
  const [newest = 0] = await checkpointSteps(folder);
  if (model.step - newest < plan.checkpointEvery) return;
  checkpoint(context, record).catch(async (error: unknown) => {
    const { code, message } = asFailure(error);
    // A newer coordinator is told of by the next commit.
    if (code === 'fenced') return;
    const because = 'the checkpoint that an earlier life owed could not be written';
    await record({ kind: 'warning', code, message }, because).catch(() => undefined);
  });
}
