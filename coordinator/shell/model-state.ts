/**
 * The model's state in two copies: the committed one, and the one the open step writes.
 *
 * The update goes into the second copy bucket by bucket, and a swap makes it current. A step that
 * is given up before its commit therefore costs nothing, and a file that is being written from the
 * current copy stays true until the swap after the next.
 */
import { createHash } from 'node:crypto';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { initialStatistics, initialWeights } from '../../shared/core/initialise.ts';
import type { Precision } from '../../shared/core/method.ts';
import { plainMemory, sharedMemory, type WasmMemory } from '../../shared/core/shared-memory.ts';
import { roundsWeights, weightLayout } from '../../shared/core/weight-layout.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import { bucketCredit, bucketElements } from '../../shared/wire/limits.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { type SentWeights, sentWeights } from './sent-weights.ts';

export interface ModelCopy {
  weights: Float32Array;
  momentum: Float32Array;
  statistics: Float32Array;
}

export interface StateHashes {
  weights: string;
  momentum: string;
  statistics: string;
}

/** A tree of 2^30 leaves, and what is on its way. */
const slotCount = 32 + bucketCredit;

export interface ModelState {
  architecture: Architecture;
  current: ModelCopy;
  next: ModelCopy;
  /** Of the current copy. */
  hashes: StateHashes;
  precision: Precision;
  sent: SentWeights;
  /** Memory of one bucket each, for sums. */
  slots: readonly Float32Array[];
  /** Null, or what copies, slots and sent weights all lie in. */
  memory: WasmMemory | null;
  /** Steps committed. */
  step: number;
  /** Writers that still read a copy; the copy must not be written before they end. */
  readers: Map<ModelCopy, Promise<unknown>>;
}

/** Zeros, in memory that threads can share. */
export function emptyCopy({ parameterCount, statisticCount }: Architecture): ModelCopy {
  const zeros = (elements: number): Float32Array =>
    new Float32Array(new SharedArrayBuffer(4 * elements));
  return {
    weights: zeros(parameterCount),
    momentum: zeros(parameterCount),
    statistics: zeros(statisticCount),
  };
}

export function hashesOf(copy: ModelCopy): StateHashes {
  return {
    weights: sha256Of(bytesOf(copy.weights)),
    momentum: sha256Of(bytesOf(copy.momentum)),
    statistics: sha256Of(bytesOf(copy.statistics)),
  };
}

/** Whether a state is the one that was wanted; false where none is known. */
export const sameHashes = (found: StateHashes, wanted: StateHashes | undefined): boolean =>
  found.weights === wanted?.weights &&
  found.momentum === wanted.momentum &&
  found.statistics === wanted.statistics;

/** SHA-256 over the encoder's weights and running statistics, tensor by tensor, hex. */
export function backboneHash(architecture: Architecture, copy: ModelCopy): string {
  const hash = createHash('sha256');
  const add = (specs: Architecture['parameters'], flat: Float32Array) => {
    for (const { name, offset, length } of specs)
      if (name.startsWith('encoder.')) hash.update(bytesOf(flat.subarray(offset, offset + length)));
  };
  add(architecture.parameters, copy.weights);
  add(architecture.statistics, copy.statistics);
  return hash.digest('hex');
}

/** Step 0: drawn weights, momentum +0, statistics 0 and 1. */
export function initialCopy(architecture: Architecture, seed: number): ModelCopy {
  const copy = emptyCopy(architecture);
  copy.weights.set(initialWeights(architecture, seed));
  copy.statistics.set(initialStatistics(architecture));
  return copy;
}

/** `copy` is copied; `hashes`: its own, where they are known already. */
export function modelState(
  architecture: Architecture,
  copy: ModelCopy,
  step: number,
  hashes: StateHashes = hashesOf(copy),
  precision: Precision = 'f32',
): ModelState {
  const { current, next, sent, slots, memory } = stateMemory(architecture, precision);
  for (const part of ['weights', 'momentum', 'statistics'] as const) current[part].set(copy[part]);
  const weights = { current: current.weights, next: next.weights };
  return {
    ...{ architecture, current, next, hashes, precision, slots, memory, step },
    sent: sentWeights(architecture, precision, weights, sent, hashes.weights),
    readers: new Map(),
  };
}

/** One memory for all that the arithmetic touches; plain where a bucket holds more than the model. */
function stateMemory(architecture: Architecture, precision: Precision) {
  const { parameterCount, statisticCount } = architecture;
  const { weightBytes } = weightLayout(architecture, precision);
  const sentBytes = roundsWeights(precision) ? weightBytes : 0;
  const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;
  const copyBytes = 2 * aligned(4 * parameterCount) + aligned(4 * statisticCount);
  const whole = 2 * (copyBytes + aligned(sentBytes)) + 4 * bucketElements * slotCount;
  const { buffer, wasm } =
    parameterCount < bucketElements ? plainMemory(whole) : sharedMemory(whole);
  let at = 0;
  const take = (bytes: number): number => {
    const from = at;
    at += aligned(bytes);
    return from;
  };
  const floats = (length: number) => new Float32Array(buffer, take(4 * length), length);
  const copy = (): ModelCopy => ({
    weights: floats(parameterCount),
    momentum: floats(parameterCount),
    statistics: floats(statisticCount),
  });
  const rounded = () => new Uint8Array(buffer, take(sentBytes), sentBytes);
  return {
    ...{ current: copy(), next: copy(), sent: [rounded(), rounded()] as const },
    slots: Array.from({ length: slotCount }, () => floats(bucketElements)),
    memory: wasm,
  };
}

/** Notes that `work` reads the current copy, which must not be overwritten before it ends. */
export function readCurrent(model: ModelState, work: Promise<unknown>): void {
  const copy = model.current;
  const settled = Promise.allSettled([model.readers.get(copy), work]);
  model.readers.set(copy, settled);
}

/** Resolves when the second copy may be written. */
export async function nextIsFree(model: ModelState): Promise<void> {
  await model.readers.get(model.next);
  model.readers.delete(model.next);
}

/** The second copy becomes the current one; `sent`: the hash of what workers are sent of it. */
export function swap(model: ModelState, hashes: StateHashes, sent: string): void {
  [model.current, model.next] = [model.next, model.current];
  model.sent = { current: model.sent.next, next: model.sent.current, hash: sent };
  model.hashes = hashes;
  model.step += 1;
}
