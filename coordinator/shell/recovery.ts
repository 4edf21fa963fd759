/**
 * Where a coordinator begins: the newest state whose hashes hold (NUMERICS 7).
 *
 * Warm slots survive the death of the process, checkpoints that of the machine. A damaged one is
 * passed over and said; step 0 can always be drawn again from the seed.
 */
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { asFailure } from '../../shared/core/failures.ts';
import type { Method } from '../../shared/core/method.ts';
import { checkpointSteps, readCheckpoint } from './checkpoints.ts';
import type { LedgerFile } from './ledger-file.ts';
import {
  hashesOf,
  initialCopy,
  type ModelCopy,
  type ModelState,
  modelState,
  sameHashes,
  type StateHashes,
} from './model-state.ts';
import { readWarmSlots } from './warm-slots.ts';

export interface Recovered {
  step: number;
  copy: ModelCopy;
  /** Of the copy, where they are known. */
  hashes?: StateHashes;
  source: string;
  warnings: { code: string; message: string }[];
}

export type Found = Omit<Recovered, 'copy' | 'hashes'>;

/** What `recover` finds, in memory of the model's own; what it was read into is let go. */
export async function recoverModel(
  folder: string,
  architecture: Architecture,
  { seed, precision }: Pick<Method, 'seed' | 'precision'>,
  ledger: LedgerFile | null,
  most?: number,
): Promise<{ model: ModelState; recovered: Found }> {
  const { copy, hashes, ...found } = await recover(folder, architecture, seed, ledger, most);
  const model = modelState(architecture, copy, found.step, hashes, precision);
  return { model, recovered: found };
}

export async function recover(
  folder: string,
  architecture: Architecture,
  seed: number,
  ledger: LedgerFile | null,
  /** States after more steps than this are not to be trusted. */
  most = Number.POSITIVE_INFINITY,
): Promise<Recovered> {
  const warnings: Recovered['warnings'] = [];
  const expected = (step: number): StateHashes | undefined =>
    step > most ? undefined : ledger?.at(step - 1);
  const [warm] = await readWarmSlots(folder, architecture, expected, 1);
  for (const step of await checkpointSteps(folder)) {
    if (warm && warm.step >= step) break;
    if (step > most) continue;
    try {
      const { copy } = await readCheckpoint(folder, step, architecture);
      const hashes = hashesOf(copy);
      if (step === 0) return { step, copy, hashes, source: 'the checkpoint of step 0', warnings };
      if (sameHashes(hashes, expected(step)))
        return { step, copy, hashes, source: `the checkpoint of step ${step}`, warnings };
      const message = `the checkpoint of step ${step} is not what the ledger says; it is not used`;
      warnings.push({ code: 'checkpoint-damaged', message });
    } catch (error) {
      const { code, message } = asFailure(error);
      warnings.push({ code, message: `${message}; the one before it is used` });
    }
  }
  if (warm) return { ...warm, source: `the warm slot of step ${warm.step}`, warnings };
  const copy = initialCopy(architecture, seed);
  return { step: 0, copy, source: 'the seed', warnings };
}
