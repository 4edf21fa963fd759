/** A compute that is wrong now and then: one mantissa bit of a share of its leaves is turned over. */
import type { Compute } from '../../shared/ports/compute.ts';
import { diceOf } from './draws.ts';

export interface Lies {
  /** Share of the leaves that are wrong. */
  share: number;
  seed: number;
  /** Hears the number of each leaf that is wrong, counted from the canary's on. */
  told?: (leaf: number) => void;
}

/** Right for its first leaf, which is the canary's. */
export function lying(compute: Compute, { share, seed, told }: Lies): Compute {
  const dice = diceOf(seed, 0);
  let leaves = 0;
  return {
    ...compute,
    async leaf(input, into) {
      const output = await compute.leaf(input, into);
      leaves += 1;
      if (leaves === 1 || !dice.chance(share)) return output;
      const { payload } = output;
      const bits = new Uint32Array(payload.buffer, payload.byteOffset, payload.length);
      const at = dice.whole(0, bits.length - 1);
      bits[at] = (bits[at] as number) ^ (1 << dice.whole(0, 22));
      told?.(leaves);
      return output;
    },
  };
}
