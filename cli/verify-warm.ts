/**
 * Warm slots as `tandem verify` reads them: which are there, and whether each holds the state that
 * the ledger's record of its step names.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from '../shared/core/architecture-types.ts';
import type { LedgerRecord } from '../shared/core/ledger.ts';
import { architecture } from '../shared/core/architecture.ts';
import type { LedgerCheck } from '../shared/core/verify-ledger.ts';
import { parts, pieces } from './verify-checkpoint.ts';
import type { Proof } from './verify-report.ts';

const warmHeaderBytes = 4096;

export interface WarmSlot {
  file: string;
  /** As its header says; −1: torn, it was being written. */
  step: number;
}

/** The warm slots that are there, by their headers. */
export async function warmSlotsOf(folder: string): Promise<WarmSlot[]> {
  const found: WarmSlot[] = [];
  for (const name of ['slot-0.bin', 'slot-1.bin']) {
    const file = join('warm', name);
    const handle = await open(join(folder, file), 'r').catch(() => null);
    if (handle === null) continue;
    try {
      const header = Buffer.alloc(warmHeaderBytes);
      await handle.read(header, 0, warmHeaderBytes, 0);
      const { step } = JSON.parse(header.toString()) as { step?: unknown };
      found.push({ file, step: typeof step === 'number' ? step : -1 });
    } catch {
      found.push({ file, step: -1 });
    } finally {
      await handle.close();
    }
  }
  return found;
}

/** Null where a slot holds the state that the ledger's record names; else what does not. */
async function warmFault(
  folder: string,
  { file }: WarmSlot,
  architecture: Architecture,
  record: LedgerRecord,
): Promise<string | null> {
  const { parameterCount, statisticCount } = architecture;
  const handle = await open(join(folder, file), 'r');
  try {
    let at = warmHeaderBytes;
    for (const part of parts) {
      const length = 4 * (part === 'statistics' ? statisticCount : parameterCount);
      const hash = createHash('sha256');
      for await (const piece of pieces(handle, at, length)) hash.update(piece);
      if (hash.digest('hex') !== record[part])
        return `the ${part} in ${file} are not those of the ledger`;
      at += length;
    }
    return null;
  } finally {
    await handle.close();
  }
}

/** A slot that is not whole is only a fault where nobody can have been writing it. */
export async function proveWarmSlots(proof: Proof, ledger: LedgerCheck): Promise<void> {
  const { folder, run, live, findings } = proof;
  const proven: number[] = [];
  for (const slot of proof.slots) {
    const { step, file } = slot;
    const record = ledger.kept.get(step - 1);
    if (record === undefined) {
      const note = `${file} is torn or of a step that the ledger lacks: recovery passes it over`;
      findings.notes.push(note);
      continue;
    }
    const wrong = await warmFault(
      folder,
      slot,
      architecture(run.method.model, run.method.classes?.length),
      record,
    );
    if (wrong === null) proven.push(step);
    else if (live) findings.notes.push(`${wrong}: recovery passes it over`);
    else {
      const why = `${wrong}: recovery would pass it over`;
      findings.faults.push({ claim: 'warm slots', step, why });
    }
  }
  const named = `of step ${proven.sort((a, b) => a - b).join(', ')}`;
  findings.texts.set('warm slots', proven.length === 0 ? 'none' : named);
}
