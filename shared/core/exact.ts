/**
 * exp, log, sin, cos and normal draws with the same bits on every engine (NUMERICS 3).
 *
 * `Math.exp` and its like are not promised to round alike on two versions of Node. These use only
 * + - × ÷ √, floor and the bits of a double, all correctly rounded by IEEE 754: range reduction
 * with constants split so that products are exact, then Taylor series, whose coefficients are
 * quotients of small integers. The relative error stays below 1e-15; it is the bits that count, so
 * any change here is a new numerics version (the golden file shows it).
 */

const bits = new DataView(new ArrayBuffer(8));

/** ln 2 in two parts; the first has 33 bits, so its product with an exponent is exact. */
const ln2High = 0.6931471804855391;
const ln2Low = 7.440617110012397e-11;
const inverseLn2 = 1.4426950408889634;

/** Coefficients, lowest power first: exp from x²; sin and cos in x² from x⁵ and x⁴; log in s². */
const expSeries = inverseFactorials([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
const sinSeries = alternating(inverseFactorials([5, 7, 9, 11, 13, 15, 17]));
const cosSeries = alternating(inverseFactorials([4, 6, 8, 10, 12, 14, 16]));
const logSeries = Float64Array.from([3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23], (n) => 2 / n);
const sixth = 1 / 6;

/** 1/n!; n! is exact up to 18! < 2^53. */
function inverseFactorials(list: readonly number[]): Float64Array {
  return Float64Array.from(list, (n) => {
    let factorial = 1;
    for (let i = 2; i <= n; i += 1) factorial *= i;
    return 1 / factorial;
  });
}

function alternating(list: Float64Array): Float64Array {
  return list.map((value, i) => (i % 2 === 0 ? value : -value));
}

/** c₀ + c₁x + c₂x² + … from the highest power down (Horner). */
function polynomial(x: number, coefficients: Float64Array): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i -= 1) sum = coefficients[i]! + x * sum;
  return sum;
}

/** 2^n for n in [-1022, 1023]. */
function powerOfTwo(n: number): number {
  bits.setUint32(4, 0);
  bits.setUint32(0, (n + 1023) << 20);
  return bits.getFloat64(0);
}

/** e^x for any double; overflow gives Infinity, underflow denormals and then 0. */
export function exp(x: number): number {
  if (!(x <= 709.782712893384)) return x > 0 ? Infinity : NaN;
  if (x < -745.1332191019412) return 0;
  const k = Math.floor(x * inverseLn2 + 0.5);
  const high = x - k * ln2High;
  const low = k * ln2Low;
  const r = high - low;
  const rest = high - r - low;
  const value = 1 + (r + (r * r * polynomial(r, expSeries) + rest));
  if (k > 1023) return value * 2 * powerOfTwo(k - 1);
  if (k < -1022) return value * powerOfTwo(k + 60) * powerOfTwo(-60);
  return value * powerOfTwo(k);
}

/** Natural logarithm; log(0) is -Infinity, a negative argument gives NaN. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return Infinity;
  let exponent = 0;
  bits.setFloat64(0, x);
  let high = bits.getUint32(0);
  if (high < 0x00100000) {
    // A denormal: scale it into the normal range first.
    exponent = -54;
    bits.setFloat64(0, x * 18014398509481984);
    high = bits.getUint32(0);
  }
  exponent += (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0x000fffff) | 0x3ff00000);
  let mantissa = bits.getFloat64(0);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    exponent += 1;
  }
  // log(1 + f) = 2 artanh(s), s = f / (2 + f), written so that f itself carries no rounding.
  const f = mantissa - 1;
  const s = f / (2 + f);
  const z = s * s;
  const series = z * polynomial(z, logSeries);
  const halfSquare = 0.5 * f * f;
  return exponent * ln2High - (halfSquare - (s * (halfSquare + series) + exponent * ln2Low) - f);
}

/** π/2 in three parts of 33 bits and a last of 53. */
const inverseHalfPi = 0.6366197723675814;
const halfPi1 = 1.5707963267341256;
const halfPi2 = 6.077100506303966e-11;
const halfPi3 = 2.0222662487111665e-21;
const halfPi4 = 8.4784276603689e-32;
const angleMax = 1e6;

/** sin(r + c) for |r| ≤ π/4 and a tiny c. */
function sineNear(r: number, c: number): number {
  const z = r * r;
  return r + (c - z * (0.5 * c + r * (sixth - z * polynomial(z, sinSeries))));
}

/** cos(r + c) for |r| ≤ π/4 and a tiny c. */
function cosineNear(r: number, c: number): number {
  const z = r * r;
  const half = 0.5 * z;
  const top = 1 - half;
  return top + (1 - top - half + (z * z * polynomial(z, cosSeries) - r * c));
}

/** sin(x + quarters · π/2) for |x| ≤ 1e6. */
function shiftedSine(x: number, quarters: number): number {
  if (!(x <= angleMax && x >= -angleMax)) {
    throw new RangeError(`exact.sin and exact.cos take |x| up to ${angleMax}, found ${x}`);
  }
  const k = Math.floor(x * inverseHalfPi + 0.5);
  // k has at most 20 bits: k · part is exact for the three short parts.
  let r = x - k * halfPi1;
  let c = 0;
  let part = k * halfPi2;
  let next = r - part;
  c += r - next - part;
  r = next;
  part = k * halfPi3;
  next = r - part;
  c += r - next - part;
  r = next;
  c -= k * halfPi4;
  next = r + c;
  c = r - next + c;
  r = next;
  const turn = (((k + quarters) % 4) + 4) % 4;
  if (turn === 0) return sineNear(r, c);
  if (turn === 1) return cosineNear(r, c);
  if (turn === 2) return -sineNear(r, c);
  return -cosineNear(r, c);
}

/** Sine of x radians, |x| ≤ 1e6 (a RangeError beyond). */
export function sin(x: number): number {
  return x === 0 ? x : shiftedSine(x, 0);
}

/** Cosine of x radians, |x| ≤ 1e6 (a RangeError beyond). */
export function cos(x: number): number {
  return shiftedSine(x, 1);
}

const halfPi = 1.5707963267948966;

/**
 * Two independent standard normal values from two uniform ones in [0, 1) (Box and Muller 1958),
 * written into `out[offset]` and `out[offset + 1]`, each times `scale`.
 */
export function normalPairInto(
  u1: number,
  u2: number,
  scale: number,
  out: Float32Array | Float64Array,
  offset: number,
): void {
  // 1 - u1 lies in (0, 1] and is exact for 53-bit draws.
  const radius = scale * Math.sqrt(-2 * log(1 - u1));
  // The angle 2π·u2 is reduced before π enters, so the reduction is exact.
  const quarters = 4 * u2;
  const k = Math.floor(quarters + 0.5);
  const r = (quarters - k) * halfPi;
  const sine = sineNear(r, 0);
  const cosine = cosineNear(r, 0);
  const odd = (k & 1) === 1;
  const x = odd ? -sine : cosine;
  const y = odd ? cosine : sine;
  const sign = (k & 2) === 2 ? -radius : radius;
  out[offset] = sign * x;
  out[offset + 1] = sign * y;
}

const pair = new Float64Array(2);

/** Two independent standard normal values from two uniform ones in [0, 1). */
export function normalPair(u1: number, u2: number): [number, number] {
  normalPairInto(u1, u2, 1, pair, 0);
  return [pair[0]!, pair[1]!];
}
