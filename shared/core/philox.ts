/**
 * Philox4x32-10: the counter-based generator behind every draw of a run (NUMERICS 3).
 *
 * A block of four 32-bit words is a pure function of a 128-bit counter and a 64-bit key, so a draw
 * has an address and no history. Salmon, Moraes, Dror, Shaw: *Parallel random numbers: as easy as
 * 1, 2, 3* (SC'11). JavaScript has no 32 × 32 → 64 bit product: the low word is Math.imul, the
 * high word is put together from 16-bit halves, which V8 keeps in integer registers.
 */

const rounds = 10;
const multiplier0Low = 0x1f53;
const multiplier0High = 0xd251;
const multiplier0 = 0xd2511f53 | 0;
const multiplier1Low = 0x8d57;
const multiplier1High = 0xcd9e;
const multiplier1 = 0xcd9e8d57 | 0;
const weyl0 = 0x9e3779b9 | 0;
const weyl1 = 0xbb67ae85 | 0;

/** Writes the block at (counter, key) into words 0 to 3 of `out`; inputs are taken mod 2^32. */
export function philox(
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let c0 = counter0 | 0;
  let c1 = counter1 | 0;
  let c2 = counter2 | 0;
  let c3 = counter3 | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < rounds; round += 1) {
    const high0 = highWord(c0, multiplier0Low, multiplier0High);
    const low0 = Math.imul(c0, multiplier0);
    const high1 = highWord(c2, multiplier1Low, multiplier1High);
    const low1 = Math.imul(c2, multiplier1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + weyl0) | 0;
    k1 = (k1 + weyl1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Upper 32 bits of the unsigned product of `a` and (high · 2^16 + low). */
function highWord(a: number, low: number, high: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const lowHigh = Math.imul(aLow, high);
  const highLow = Math.imul(aHigh, low);
  const middle = (Math.imul(aLow, low) >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
  return (Math.imul(aHigh, high) + (lowHigh >>> 16) + (highLow >>> 16) + (middle >>> 16)) | 0;
}
