/**
 * The dataset port: encoded bytes by sample, wherever they lie.
 */
import type { LeftOut, Sample } from '../core/sample.ts';

export interface IndexProgress {
  done: number;
  total: number;
}

export interface DatasetIndex {
  samples: Sample[];
  leftOut: LeftOut[];
  /** SHA-256 over (path, SHA-256 of the file) of every sample in order, hex. */
  fingerprint: string;
  /** Width and height of each sample as its header says, pixels, [2 · samples]; where known. */
  shapes?: Uint32Array;
}

export interface Dataset {
  /** Lists every image in bytewise order of its path. Rejects with a Failure that says what to do. */
  index(onProgress?: (p: IndexProgress) => void, signal?: AbortSignal): Promise<DatasetIndex>;
  /** Encoded bytes of a sample, or null where this dataset lacks them (path missing or other hash). */
  read(sample: Sample): Promise<Uint8Array | null>;
}
