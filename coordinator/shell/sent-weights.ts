/**
 * Both copies of the weights as workers are sent them. In f32 that is the weights' own memory and
 * their own hash; in bf16 they are rounded here, once, and have a hash of their own, which is what
 * workers know the weights by. Ledger and checkpoints hold the f32 weights only.
 */
import { createHash } from 'node:crypto';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import type { Precision } from '../../shared/core/method.ts';
import {
  roundsWeights,
  type RoundTo,
  weightLayout,
  writeWeights,
} from '../../shared/core/weight-layout.ts';
import { sha256Of } from '../../shared/adapters/fingerprint.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';

export interface SentWeights {
  current: Uint8Array;
  next: Uint8Array;
  /** SHA-256 of the current ones, hex. */
  hash: string;
}

/** `memory`: for rounded ones; `hash`: that of the f32 weights. */
export function sentWeights(
  architecture: Architecture,
  precision: Precision,
  { current, next }: { current: Float32Array; next: Float32Array },
  memory: readonly [Uint8Array, Uint8Array],
  hash: string,
): SentWeights {
  if (!roundsWeights(precision)) return { current: bytesOf(current), next: bytesOf(next), hash };
  const layout = weightLayout(architecture, precision);
  const [rounded, other] = memory;
  writeWeights(architecture, layout, 'sentAt', current, [0, current.length], rounded);
  return { current: rounded, next: other, hash: sha256Of(rounded) };
}

export interface Sending {
  /** Elements [first, end) of the weights are made; returns how many bytes of `sent` are now. */
  made(weights: Float32Array, first: number, end: number): number;
  /** SHA-256 of all of `sent`, hex; null where that is the weights' own. */
  digest(): string | null;
}

/** What is sent of weights that are made range by range, from the first element on. */
export function sending(
  architecture: Architecture,
  precision: Precision,
  sent: Uint8Array,
  round: RoundTo,
): Sending {
  if (!roundsWeights(precision)) return { made: (_, __, end) => 4 * end, digest: () => null };
  const layout = weightLayout(architecture, precision);
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    made(weights, first, end) {
      const from = bytes;
      bytes = writeWeights(architecture, layout, 'sentAt', weights, [first, end], sent, round);
      hash.update(sent.subarray(from, bytes));
      return bytes;
    },
    digest: () => hash.copy().digest('hex'),
  };
}
