/**
 * A sample list: the images of a run in the one order that every machine agrees on (NUMERICS 1).
 *
 * The coordinator makes it once, from headers and file hashes, and keeps it as `samples.jsonl`.
 * Workers find the same bytes on their own disk by hash, or ask the coordinator for them.
 */

export interface Sample {
  /** Place in the list, 0-based. */
  index: number;
  /** Relative path: UTF-8, NFC, `/` between folders. */
  path: string;
  /** SHA-256 of the encoded file, hex. */
  sha256: string;
  /** Encoded size, bytes. */
  bytes: number;
  /** Name of the class (the first folder of the path), or null where there are none. */
  label: string | null;
}

/** A file that indexing left out, and why. */
export interface LeftOut {
  path: string;
  reason: string;
}

/** A decoded image: in the top-left corner of a square canvas, black elsewhere. */
export interface DecodedImage {
  /** [canvas, canvas, 3], sRGB, row by row. */
  pixels: Uint8Array;
  /** Height and width of the image within the canvas, pixels, at least 1. */
  height: number;
  width: number;
}
