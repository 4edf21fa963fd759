/**
 * Warm slots: the state after each step in two files rewritten in turn, without fsync. They
 * survive the death of the process, so a killed coordinator loses the open step only.
 *
 * A slot is a 4 KiB header (JSON, padded), then weights, momentum, statistics. The header is made
 * invalid before the body is rewritten and valid after; what is read must have the hashes that the
 * ledger's record of that step holds, so a torn or stale slot is never believed.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import {
  emptyCopy,
  hashesOf,
  type ModelCopy,
  sameHashes,
  type StateHashes,
} from './model-state.ts';

const headerBytes = 4096;

interface SlotHeader {
  /** Steps committed in this state; −1 while the body is being written. */
  step: number;
  hashes: StateHashes;
}

const slotPath = (folder: string, step: number) => join(folder, 'warm', `slot-${step % 2}.bin`);

const encodeSlotHeader = (header: SlotHeader): Buffer => {
  const buffer = Buffer.alloc(headerBytes, 0x20);
  buffer.write(JSON.stringify(header));
  return buffer;
};

/** Rewrites the slot of this step; the copy must stay as it is meanwhile. */
export async function writeWarmSlot(
  folder: string,
  step: number,
  copy: ModelCopy,
  hashes: StateHashes,
): Promise<void> {
  const path = slotPath(folder, step);
  const handle = await open(path, 'r+').catch(() => open(path, 'w+'));
  try {
    await handle.write(encodeSlotHeader({ step: -1, hashes }), 0, headerBytes, 0);
    let at = headerBytes;
    for (const values of [copy.weights, copy.momentum, copy.statistics]) {
      const bytes = bytesOf(values);
      for (let from = 0; from < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, from, bytes.length - from, at);
        from += bytesWritten;
        at += bytesWritten;
      }
    }
    await handle.write(encodeSlotHeader({ step, hashes }), 0, headerBytes, 0);
  } finally {
    await handle.close();
  }
}

export interface WarmState {
  step: number;
  copy: ModelCopy;
  hashes: StateHashes;
}

/**
 * The slots whose bytes hold, newest first; no more than `most` are read whole, because that takes
 * the most time of a recovery. `expected(step)` gives the hashes that the ledger has for the state
 * after so many steps, or undefined where it has none.
 */
export async function readWarmSlots(
  folder: string,
  architecture: Architecture,
  expected: (step: number) => StateHashes | undefined,
  most = 2,
): Promise<WarmState[]> {
  const found: WarmState[] = [];
  const headers = await Promise.all([0, 1].map((slot) => headerOf(slotPath(folder, slot))));
  const newest = headers
    .flatMap((header, slot) => (header === null ? [] : [{ slot, step: header.step }]))
    .sort((a, b) => b.step - a.step);
  for (const { slot, step } of newest) {
    if (found.length >= most) break;
    const wanted = step < 0 ? undefined : expected(step);
    if (wanted === undefined) continue;
    const copy = await readSlot(slotPath(folder, slot), architecture, wanted);
    if (copy !== null) found.push({ step, copy, hashes: wanted });
  }
  return found;
}

async function headerOf(path: string): Promise<SlotHeader | null> {
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    const buffer = Buffer.alloc(headerBytes);
    await handle.read(buffer, 0, headerBytes, 0);
    const header = JSON.parse(buffer.toString()) as SlotHeader;
    return Number.isSafeInteger(header.step) ? header : null;
  } catch {
    return null;
  } finally {
    await handle.close();
  }
}

/** The state in a slot, where it has the wanted hashes; else null. */
async function readSlot(
  path: string,
  architecture: Architecture,
  wanted: StateHashes,
): Promise<ModelCopy | null> {
  const copy = emptyCopy(architecture);
  const parts = [copy.weights, copy.momentum, copy.statistics];
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, headerBytes);
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return null;
  try {
    if ((await handle.stat()).size !== bytes) return null;
    let at = headerBytes;
    for (const part of parts) {
      const into = bytesOf(part);
      for (let from = 0; from < into.length; ) {
        const { bytesRead } = await handle.read(into, from, into.length - from, at);
        if (bytesRead === 0) return null;
        from += bytesRead;
        at += bytesRead;
      }
    }
  } finally {
    await handle.close();
  }
  return sameHashes(hashesOf(copy), wanted) ? copy : null;
}
