/**
 * `ledger.jsonl`: read whole at the start, appended durably, compared on replay.
 *
 * Only hashes stay in memory for old records (a replayed step is compared by its record's hash,
 * which covers every field). Records behind a checkpoint that was read back move to compressed parts
 * once they are many; what is read is the same (`line-parts.ts`).
 */
import { Failure } from '../../shared/core/failures.ts';
import { type LedgerRecord, recordFault, recordLine } from '../../shared/core/ledger.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import { type JsonlFile, openJsonl } from './jsonl-file.ts';
import { recordNumber } from './line-parts.ts';

export const sha256Text = (text: string): string => sha256Of(new TextEncoder().encode(text));

export interface RecordHashes {
  hash: string;
  weights: string;
  momentum: string;
  statistics: string;
  loss: string;
  std: string;
}

export interface LedgerFile {
  /** Steps recorded. */
  readonly length: number;
  at(step: number): RecordHashes | undefined;
  /** Hash that the next record must name as `previous`. */
  previousOf(step: number): string;
  /**
   * Appends a record, or compares it where the ledger has the step already. Within a review a
   * record that differs takes the place of the old one and of all after it, which go to a file of
   * their own.
   */
  commit(record: LedgerRecord): Promise<void>;
  /** Bytes of the records that are in no part. */
  readonly bytes: number;
  /** Moves the records of steps before `step` to a compressed part, the newest excepted. */
  closePart(step: number): Promise<void>;
  close(): Promise<void>;
}

const hashesOf = (r: LedgerRecord): RecordHashes => ({
  hash: r.hash,
  weights: r.weights,
  momentum: r.momentum,
  statistics: r.statistics,
  loss: r.loss,
  std: r.std,
});

/** Is it a record, whatever it follows? Only of the last line this need not be so. */
function isRecord(line: string): boolean {
  try {
    const record = JSON.parse(line) as LedgerRecord;
    return recordFault(record, record.step, record.previous, sha256Text) === null;
  } catch {
    return false;
  }
}

/** Steps whose records are not to be trusted, and what is done once one is found wrong. */
export interface LedgerReview {
  since: number;
  until: number;
  /** The records from `first` on were set aside in `file`. */
  onWrong(first: number, count: number, file: string): Promise<void>;
  /** Called before they are cut off, and again where that was cut short. */
  beforeCut(first: number): Promise<void>;
}

/** Opens the ledger for this generation. `identity` is what the first record follows. */
export async function openLedger(
  path: string,
  generation: number,
  identity: string,
  review: LedgerReview | null = null,
): Promise<LedgerFile> {
  const file: JsonlFile = await openJsonl(path, generation, {
    isWhole: isRecord,
    numberOf: recordNumber,
  });
  const records: RecordHashes[] = [];
  const previousOf = (step: number) => (step === 0 ? identity : (records[step - 1]?.hash ?? ''));
  for await (const line of file.lines()) {
    const step = records.length;
    let fault: string | null;
    let record: LedgerRecord | null = null;
    try {
      record = JSON.parse(line) as LedgerRecord;
      fault = recordFault(record, step, previousOf(step), sha256Text);
    } catch {
      fault = 'it is not JSON';
    }
    if (record === null || fault !== null) {
      await file.close();
      throw new Failure(
        'ledger-damaged',
        `${file.path}: record ${step + 1} does not hold: ${fault}. Nothing was changed; restore the ` +
          'file from a copy, or begin a new run',
      );
    }
    records.push(hashesOf(record));
  }
  return {
    get length() {
      return records.length;
    },
    at: (step) => records[step],
    previousOf,
    async commit(record) {
      const known = records[record.step];
      if (known !== undefined) {
        if (known.hash === record.hash) return;
        if (review !== null && record.step >= review.since && record.step < review.until) {
          const aside = path.replace(/\.jsonl$/, `.wrong-${generation}.jsonl`);
          const count = records.length - record.step;
          // Before the cut: behind it nothing tells any more that what lies there is of the wrong branch.
          await review.beforeCut(record.step);
          await file.moveTail(record.step, aside);
          records.length = record.step;
          await review.onWrong(record.step, count, aside);
          await file.append(recordLine(record), { sync: true });
          records.push(hashesOf(record));
          return;
        }
        const fields = hashesOf(record);
        const differs = (Object.keys(fields) as (keyof RecordHashes)[])
          .filter((field) => field !== 'hash' && fields[field] !== known[field])
          .join(', ');
        throw new Failure(
          'not-deterministic',
          `step ${record.step} was computed again and is not what the ledger says: ` +
            `${differs || 'its inputs or leaves'} differ. All files are kept. Some machine ` +
            'computes wrongly, or the data changed',
        );
      }
      if (record.step !== records.length)
        throw new Error(`record ${record.step} does not follow ${records.length} records`);
      await file.append(recordLine(record), { sync: true });
      records.push(hashesOf(record));
    },
    get bytes() {
      return file.bytes;
    },
    closePart: (step) => file.closePart(Math.min(step, records.length - 1)),
    close: () => file.close(),
  };
}
