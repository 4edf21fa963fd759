/**
 * What `tandem verify` keeps in memory while it reads a ledger: a bit an image for the open epoch,
 * and 48 bytes a step, so a run of a million steps over a billion images takes under 200 MB.
 */

export interface StepFigures {
  /** Of the record. */
  hash: string;
  loss: number;
  std: number;
}

/** Which images of the open epoch have come; `mark` says what is wrong, or null. */
export function epochBitmap(samples: number): {
  mark(epoch: number, sample: number): string | null;
} {
  const bits = new Uint8Array(Math.ceil(samples / 8));
  let open = 0;
  let seen = 0;
  return {
    mark(epoch: number, sample: number): string | null {
      if (epoch !== open) {
        if (seen !== samples) return `epoch ${open} ended after ${seen} of ${samples} images`;
        bits.fill(0);
        open = epoch;
        seen = 0;
      }
      const at = Math.floor(sample / 8);
      const bit = 1 << (sample % 8);
      if (((bits[at] ?? 0) & bit) !== 0) return `sample ${sample} comes twice in epoch ${epoch}`;
      bits[at] = (bits[at] ?? 0) | bit;
      seen += 1;
      return null;
    },
  };
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The figures of each step, in order; 48 bytes a step. */
export function stepIndex(): {
  readonly length: number;
  push(hash: string, loss: number, std: number): void;
  at(step: number): StepFigures | undefined;
} {
  let hashes = new Uint8Array(32 * 1024);
  let figures = new Float64Array(2 * 1024);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(hash: string, loss: number, std: number): void {
      if (32 * length === hashes.length) {
        const [wider, longer] = [new Uint8Array(64 * length), new Float64Array(4 * length)];
        wider.set(hashes);
        longer.set(figures);
        [hashes, figures] = [wider, longer];
      }
      for (let i = 0; i < 32; i += 1)
        hashes[32 * length + i] = Number.parseInt(hash.slice(2 * i, 2 * i + 2), 16);
      figures.set([loss, std], 2 * length);
      length += 1;
    },
    at(step: number): StepFigures | undefined {
      if (!(step >= 0 && step < length)) return undefined;
      const [loss = 0, std = 0] = figures.subarray(2 * step, 2 * step + 2);
      return { hash: hex(hashes.subarray(32 * step, 32 * step + 32)), loss, std };
    },
  };
}
