/**
 * The ledger: one record a committed step, chained by hashes (NUMERICS 7).
 *
 * It holds nothing of the cluster (no time, worker or attempt), so every run of one identity
 * writes the same bytes. The first record's `previous` is the run's identity. Losses are kept as
 * the bits of their f64 besides the number that people read.
 */
import { canonicalJson } from './canonical-json.ts';

export interface LedgerBody {
  step: number;
  learningRate: { base: number; predictor: number };
  /** One a micro-batch, in order, hex. */
  inputHashes: string[];
  leafHashes: string[];
  /** Of the gradient at the root, divided by S. */
  gradient: string;
  /** Of the state after the update. */
  weights: string;
  momentum: string;
  statistics: string;
  /** f64 bits, big-endian hex. */
  loss: string;
  std: string;
  /** Hash of the record before, or the run's identity. */
  previous: string;
}

export interface LedgerRecord extends LedgerBody {
  /** SHA-256 of the canonical JSON of the rest. */
  hash: string;
}

type Sha256 = (text: string) => string;

/** Big-endian hex of the bits of an f64. */
export function f64Bits(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return [0, 4].map((at) => view.getUint32(at).toString(16).padStart(8, '0')).join('');
}

export function fromF64Bits(hex: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, Number.parseInt(hex.slice(0, 8), 16));
  view.setUint32(4, Number.parseInt(hex.slice(8), 16));
  return view.getFloat64(0);
}

export function sealRecord(body: LedgerBody, sha256: Sha256): LedgerRecord {
  return { ...body, hash: sha256(canonicalJson(body)) };
}

export const recordLine = (record: LedgerRecord): string => canonicalJson(record);

/** Null where the line is a whole record whose hash holds and that follows `previous`. */
export function recordFault(
  record: LedgerRecord,
  step: number,
  previous: string,
  sha256: Sha256,
): string | null {
  const { hash, ...body } = record;
  if (record.step !== step) return `it is step ${record.step} where step ${step} belongs`;
  if (record.previous !== previous) return 'it does not follow the record before it';
  if (sha256(canonicalJson(body)) !== hash) return 'its hash does not hold';
  return null;
}

/** The first field in which two records of one step differ, or null. */
export function firstDifference(a: LedgerRecord, b: LedgerRecord): string | null {
  for (const field of Object.keys(a) as (keyof LedgerRecord)[]) {
    if (canonicalJson(a[field]) !== canonicalJson(b[field])) return field;
  }
  return null;
}
