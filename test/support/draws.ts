/** Numbers from a seed for tests: never for training, whose draws are by address. */

/** Numbers in [0, 1) from a seed (mulberry32). */
export function drawsOf(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Dice {
  /** In [0, 1). */
  draw(): number;
  between(least: number, most: number): number;
  /** A whole number, both ends included. */
  whole(least: number, most: number): number;
  chance(share: number): boolean;
  oneOf<T>(values: readonly T[]): T;
}

/** One named stream of a seed: what one part draws does not move what another part draws. */
export function diceOf(seed: number, purpose: number): Dice {
  const draw = drawsOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(purpose + 1, 0x85ebca6b));
  const whole = (least: number, most: number) => least + Math.floor(draw() * (most - least + 1));
  return {
    draw,
    whole,
    between: (least, most) => least + draw() * (most - least),
    chance: (share) => draw() < share,
    oneOf: (values) => values[whole(0, values.length - 1)] as (typeof values)[number],
  };
}
