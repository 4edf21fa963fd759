/**
 * `node:crypto`, but what it draws follows from the moment of the simulated clock, so that a seed has
 * one history. Nothing is kept secret in there.
 */
import { createHash } from 'node:crypto';

export * from 'node:crypto';

export function randomBytes(size: number): Buffer {
  const now = performance.now();
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
    createHash('sha256').update(`${now}/${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, size);
}
