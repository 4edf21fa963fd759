/**
 * The fingerprint of a sample list: one hash that is equal exactly when two machines mean the same
 * images in the same order (NUMERICS 1).
 *
 * Bytes hashed, for each sample in order and with nothing between samples:
 *   the path in UTF-8 · one byte 0x00 · the 32 bytes of the file's SHA-256.
 * A path never holds 0x00 and the hash has a fixed length, so no two lists share their bytes.
 * Sizes and labels are not hashed: both follow from the files and their paths.
 */
import { createHash } from 'node:crypto';
import type { Sample } from '../core/sample.ts';

const separator = Uint8Array.of(0);

type Named = Pick<Sample, 'path' | 'sha256'>;

/** SHA-256 over (path, SHA-256 of the file) of every sample in order, hex. */
export function fingerprintOf(samples: Iterable<Named>): string {
  const fingerprint = growingFingerprint();
  for (const sample of samples) fingerprint.add(sample);
  return fingerprint.digest();
}

/** The same, for a list that is not in memory: `add` each sample in order, then `digest` once. */
export function growingFingerprint(): { add(sample: Named): void; digest(): string } {
  const hash = createHash('sha256');
  return {
    add({ path, sha256 }) {
      hash.update(path, 'utf8').update(separator).update(sha256, 'hex');
    },
    digest: () => hash.digest('hex'),
  };
}

/** SHA-256 of a file's bytes, hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Orders two paths by their UTF-8 bytes without making them (never `localeCompare`). JavaScript
 * compares UTF-16 units, which is the same order but for surrogates: U+10000 and above sort last.
 */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA !== unitB) return utf8Rank(unitA) - utf8Rank(unitB);
  }
  return a.length - b.length;
}

function utf8Rank(unit: number): number {
  const surrogate = unit >= 0xd800 && unit <= 0xdfff;
  return surrogate ? unit + 0x10000 : unit;
}
