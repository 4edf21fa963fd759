/**
 * Proves a ledger from the method and the sample list alone, one record at a time.
 *
 * For each record it makes again what the method says the step must hold: its number, its learning
 * rates, and for each micro-batch the input hash over positions, sample hashes and draws. So every
 * leaf is there once, and every stream position. A bitmap of the open epoch (a bit an image) shows
 * that no image comes twice in it and none is left out. What stays in memory: that bitmap, 48 bytes
 * a step (record hash, loss and std, for the events), and the records of the steps in `keep`.
 */
import { canonicalJson } from './canonical-json.ts';
import { inputRecord, type Slot, slotsOf } from './input-record.ts';
import { fromF64Bits, type LedgerRecord, recordFault, recordLine } from './ledger.ts';
import type { Method } from './method.ts';
import { epochOf } from './order.ts';
import { learningRates } from './schedule.ts';
import type { Claim, Fault } from './verify-claims.ts';
import { epochBitmap, type StepFigures, stepIndex } from './verify-memory.ts';

export interface LedgerTask {
  method: Method;
  identity: string;
  /** N */
  samples: number;
  /** The 32 bytes of a sample's SHA-256. */
  hashOf: (sample: number) => Uint8Array;
  /** Samples that the events call undecodable: mid-gray stands in for them. */
  gray: ReadonlySet<number>;
  sha256: (data: Uint8Array | string) => string;
  /** Steps whose records are wanted whole afterwards. */
  keep: ReadonlySet<number>;
}

export interface LedgerCheck {
  /** Takes the next line; the fault, where it is no record that must stand here. */
  see(line: string): Fault | null;
  /** Records that hold. */
  readonly steps: number;
  /** Micro-batches and images among them, images that were mid-gray, whole epochs. */
  readonly leaves: number;
  readonly images: number;
  readonly grayImages: number;
  readonly epochs: number;
  at(step: number): StepFigures | undefined;
  /** Whole records of `keep`, by step. */
  readonly kept: ReadonlyMap<number, LedgerRecord>;
}

const isHash = (value: unknown): boolean =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const areHashes = (value: unknown, length: number): boolean =>
  Array.isArray(value) && value.length === length && value.every(isHash);
const isBits = (value: unknown): boolean =>
  typeof value === 'string' && /^[0-9a-f]{16}$/.test(value);

export function ledgerCheck(task: LedgerTask): LedgerCheck {
  const { method, samples } = task;
  const leavesAStep = method.batch / method.microBatch;
  const index = stepIndex();
  const kept = new Map<number, LedgerRecord>();
  const epoch = epochBitmap(samples);
  let previous = task.identity;
  let grayImages = 0;

  function see(line: string): Fault | null {
    const step = index.length;
    const fault = (claim: Claim, why: string): Fault => ({ claim, step: step + 1, why });
    let record: LedgerRecord;
    try {
      record = JSON.parse(line) as LedgerRecord;
    } catch {
      return fault('chain', 'its record is not JSON');
    }
    const chain = chainFault(record, line, step, previous, task);
    if (chain !== null) return fault('chain', chain);
    if (step >= method.totalSteps)
      return fault('schedule', `the schedule of this method ends with step ${method.totalSteps}`);
    const rates = learningRates(method, step);
    if (canonicalJson(record.learningRate) !== canonicalJson({ ...rates }))
      return fault(
        'schedule',
        `its learning rates are ${canonicalJson(record.learningRate)} where the schedule gives ` +
          canonicalJson({ ...rates }),
      );
    const order = orderFault(record, step);
    if (order !== null) return fault('order', order);
    previous = record.hash;
    index.push(record.hash, fromF64Bits(record.loss), fromF64Bits(record.std));
    if (task.keep.has(step)) kept.set(step, record);
    return null;
  }

  /** Every micro-batch holds the samples that stand at its positions, each once an epoch. */
  function orderFault(record: LedgerRecord, step: number): string | null {
    for (let leaf = 0; leaf < leavesAStep; leaf += 1) {
      const slots = slotsOf(method, samples, step, leaf);
      const grays = inputGrays(slots, record.inputHashes[leaf] as string);
      if (grays === null) return leafFault(record, step, leaf, slots);
      grayImages += grays;
      for (const { position, sample } of slots) {
        const wrong = epoch.mark(epochOf(position, samples), sample);
        if (wrong !== null) return `micro-batch ${leaf}: ${wrong}`;
      }
    }
    return null;
  }

  const inputHash = (slots: readonly Slot[], isGray: (sample: number) => boolean): string =>
    task.sha256(inputRecord(method, slots, task.hashOf, isGray));

  /** How many of the images were mid-gray; null where the hash is not the one of these slots. */
  function inputGrays(slots: readonly Slot[], found: string): number | null {
    const grays = slots.filter(({ sample }) => task.gray.has(sample)).length;
    if (inputHash(slots, (sample) => task.gray.has(sample)) === found) return grays;
    // Decodable when this leaf was computed, and not later.
    if (grays > 0 && inputHash(slots, () => false) === found) return 0;
    return null;
  }

  function leafFault(record: LedgerRecord, step: number, leaf: number, slots: readonly Slot[]) {
    const others = Array.from({ length: leavesAStep }, (_, other) => other);
    const meant = others.find(
      (other) =>
        other !== leaf &&
        inputGrays(slotsOf(method, samples, step, other), record.inputHashes[leaf] as string) !==
          null,
    );
    const [first, last] = [slots[0]?.position, slots.at(-1)?.position];
    const belongs =
      `micro-batch ${leaf} must hold the images at stream positions ${first} to ${last} ` +
      `(samples ${slots.map(({ sample }) => sample).join(', ')})`;
    return meant === undefined
      ? `${belongs}; its input hash is that of something else`
      : `${belongs}; it holds those of micro-batch ${meant}, which would count twice`;
  }

  return {
    see,
    get steps() {
      return index.length;
    },
    get leaves() {
      return index.length * leavesAStep;
    },
    get images() {
      return index.length * method.batch;
    },
    get grayImages() {
      return grayImages;
    },
    get epochs() {
      return Math.floor((index.length * method.batch) / samples);
    },
    at: (step) => index.at(step),
    kept,
  };
}

/** Null where the line is the record of this step, follows the one before, and is whole. */
function chainFault(
  record: LedgerRecord,
  line: string,
  step: number,
  previous: string,
  { method, sha256 }: LedgerTask,
): string | null {
  if (typeof record !== 'object' || record === null) return 'its record is no object';
  const leaves = method.batch / method.microBatch;
  const fault = recordFault(record, step, previous, sha256);
  if (fault !== null) return fault;
  if (!areHashes(record.leafHashes, leaves) || !areHashes(record.inputHashes, leaves))
    return `it does not hold ${leaves} micro-batches, each with its input and leaf hash`;
  const { gradient, weights, momentum, statistics } = record;
  if (![gradient, weights, momentum, statistics].every(isHash)) return 'a hash in it is none';
  if (!isBits(record.loss) || !isBits(record.std)) return 'its loss or std are no f64';
  if (recordLine(record) !== line) return 'its bytes are not those of canonical JSON';
  const fields = Object.keys(record).length;
  return fields === 12 ? null : `it has ${fields} fields where a record has 12`;
}
