/**
 * Warm slots: the state after each step in two files rewritten in turn, without fsync. They
 * survive the death of the process, so a killed coordinator loses the open step only.
 *
 * A slot is a 4 KiB header (JSON, padded), then weights, momentum, statistics. The header is made
 * invalid before the body is rewritten and valid after; what is read must have the hashes that the
 * ledger's record of that step holds, so a torn or stale slot is never believed.
 */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { emptyCopy, hashesOf, type ModelCopy, type StateHashes } from './model-state.ts';

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
}

/**
 * The slots whose bytes hold, newest first. `expected(step)` gives the hashes that the ledger
 * has for the state after so many steps, or undefined where it has none.
 */
export async function readWarmSlots(
  folder: string,
  architecture: Architecture,
  expected: (step: number) => StateHashes | undefined,
): Promise<WarmState[]> {
  const found: WarmState[] = [];
  for (const slot of [0, 1]) {
    const file = await readFile(slotPath(folder, slot)).catch(() => null);
    if (file === null) continue;
    const state = readSlot(file, architecture, expected);
    if (state !== null) found.push(state);
  }
  return found.sort((a, b) => b.step - a.step);
}

function readSlot(
  file: Buffer,
  architecture: Architecture,
  expected: (step: number) => StateHashes | undefined,
): WarmState | null {
  let header: SlotHeader;
  try {
    header = JSON.parse(file.toString('utf8', 0, headerBytes)) as SlotHeader;
  } catch {
    return null;
  }
  const wanted = header.step < 0 ? undefined : expected(header.step);
  const copy = emptyCopy(architecture);
  const parts = [copy.weights, copy.momentum, copy.statistics];
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, headerBytes);
  if (wanted === undefined || file.length !== bytes) return null;
  let at = headerBytes;
  for (const part of parts) {
    bytesOf(part).set(file.subarray(at, at + part.byteLength));
    at += part.byteLength;
  }
  const hashes = hashesOf(copy);
  const holds =
    hashes.weights === wanted.weights &&
    hashes.momentum === wanted.momentum &&
    hashes.statistics === wanted.statistics;
  return holds ? { step: header.step, copy } : null;
}
