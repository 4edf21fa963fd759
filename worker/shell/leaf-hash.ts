/** The hash of a leaf's result: payload, then loss and std as f64 (before any codec). */
import { createHash } from 'node:crypto';
import type { LeafOutput } from '../../shared/ports/compute.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';

export function leafHash({ payload, loss, std }: LeafOutput): string {
  return createHash('sha256')
    .update(bytesOf(payload))
    .update(new Uint8Array(Float64Array.of(loss, std).buffer))
    .digest('hex');
}
