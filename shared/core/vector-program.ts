/**
 * The loops of `vector-loops.ts` as a WebAssembly module, 16 floats a turn.
 *
 * Each instruction works on four f32 and rounds each operation once, as `Math.fround` does in the loops
 * of `tree.ts` and `update.ts`; there is no fused multiply-add among them and denormals stay. So the bits
 * are the same. Encoding: WebAssembly Core Specification 2.0, section 5.
 */

type Code = readonly number[];

const i32 = 0x7f;
const f32 = 0x7d;
const v128 = 0x7b;

/** Unsigned LEB128. */
function leb(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...out, rest];
    out.push((rest & 127) | 128);
  }
}

/** Signed LEB128. */
function signed(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const low = rest & 127;
    if ((rest >> 7 === 0 && low < 64) || (rest >> 7 === -1 && low >= 64)) return [...out, low];
    out.push(low | 128);
  }
}

const get = (local: number): Code => [0x20, ...leb(local)];
const set = (local: number): Code => [0x21, ...leb(local)];
const constant = (value: number): Code => [0x41, ...signed(value)];
const simd = (code: number): Code => [0xfd, ...leb(code)];
const addresses = (pointer: number, index: number): Code => [...get(pointer), ...get(index), 0x6a];
const load = (pointer: number, index: number, at: number): Code => [
  ...addresses(pointer, index),
  ...[...simd(0x00), 0x00, ...leb(at)],
];
/** `value` to memory; the address comes first on the stack. */
const store = (pointer: number, index: number, at: number, value: Code): Code => [
  ...addresses(pointer, index),
  ...value,
  ...[...simd(0x0b), 0x00, ...leb(at)],
];
const two =
  (code: number) =>
  (left: Code, right: Code): Code => [...left, ...right, ...simd(code)];
const plus = two(0xe4);
const minus = two(0xe5);
const times = two(0xe6);
const over = two(0xe7);
const splatFloat = simd(0x13);
const splatInteger = simd(0x11);
const plusIntegers = two(0xae);
const both = two(0x4e);
const upperHalf = (value: Code): Code => [...value, ...constant(16), ...simd(0xad)];
const halves = two(0x86);

interface Kernel {
  name: string;
  /** Pointers (bytes); then how many bytes of the first one, a multiple of 64; then f32 factors. */
  pointers: number;
  factors: number;
  /** 64 bytes of the first pointer; `at`: where in them. `factor(i)` is on four lanes. */
  turn: (index: number, at: number, factor: (i: number) => number, scratch: number) => Code;
}

const kernels: readonly Kernel[] = [
  {
    name: 'add', // left, right
    ...{ pointers: 2, factors: 0 },
    turn: (i, at) => store(0, i, at, plus(load(0, i, at), load(1, i, at))),
  },
  {
    name: 'scale', // values; divisor
    ...{ pointers: 1, factors: 1 },
    turn: (i, at, factor) => store(0, i, at, over(load(0, i, at), get(factor(0)))),
  },
  {
    name: 'sgd', // weights, momentum, gradient, nextWeights, nextMomentum; rate, momentum, decay
    ...{ pointers: 5, factors: 3 },
    turn: (i, at, factor, velocity) => {
      const decayed = times(get(factor(2)), load(0, i, at));
      const direction = plus(load(2, i, at), decayed);
      return [
        ...plus(times(get(factor(1)), load(1, i, at)), direction),
        ...set(velocity),
        ...store(4, i, at, get(velocity)),
        ...store(3, i, at, minus(load(0, i, at), times(get(factor(0)), get(velocity)))),
      ];
    },
  },
  {
    name: 'round', // values, bfloat16: to nearest, ties to even
    ...{ pointers: 2, factors: 0 },
    turn(i, at, _, lanes) {
      const rounded = (from: number): Code => {
        const odd = both(upperHalf(get(lanes)), [...constant(1), ...splatInteger]);
        const half = [...constant(0x7fff), ...splatInteger];
        const value = [...load(0, i, from), ...set(lanes)];
        return [...value, ...upperHalf(plusIntegers(plusIntegers(get(lanes), half), odd))];
      };
      if (at % 32 !== 0) return []; // with the one before
      const short = [...halves(rounded(at), rounded(at + 16))];
      const address = [...get(1), ...get(i), ...constant(1), 0x76, 0x6a];
      return [...address, ...short, ...simd(0x0b), 0x00, ...leb(at / 2)];
    },
  },
];

/** Pointers, count, factors, then the index and, on four lanes each, the factors and one more. */
function body({ pointers, factors, turn }: Kernel): Code {
  const count = pointers;
  const index = count + factors + 1;
  const lanes = index + 1;
  const locals = [2, 1, i32, ...leb(factors + 1), v128];
  const splats = Array.from({ length: factors }, (_, i) => [
    ...get(count + 1 + i),
    ...splatFloat,
    ...set(lanes + i),
  ]);
  const turns = [0, 16, 32, 48].map((at) => turn(index, at, (i) => lanes + i, lanes + factors));
  const loop = [
    ...[0x03, 0x40],
    ...turns.flat(),
    ...[...get(index), ...constant(64), 0x6a, ...set(index)],
    ...[...get(index), ...get(count), 0x49, 0x0d, 0x00, 0x0b],
  ];
  const code = [...locals, ...splats.flat(), ...loop, 0x0b];
  return [...leb(code.length), ...code];
}

const vector = (items: readonly Code[]): Code => [...leb(items.length), ...items.flat()];
const text = (value: string): Code => [
  ...leb(value.length),
  ...Array.from(value, (letter) => letter.charCodeAt(0)),
];
const section = (id: number, content: Code): Code => [id, ...leb(content.length), ...content];

/** The module's bytes: it imports `env.memory`, shared, and exports a function a kernel. */
export function vectorProgram(): Uint8Array {
  const signature = ({ pointers, factors }: Kernel): Code => {
    const types = [...new Array<number>(pointers + 1).fill(i32), ...new Array(factors).fill(f32)];
    return [0x60, ...leb(types.length), ...types, 0x00];
  };
  const memory = [...text('env'), ...text('memory'), 0x02, 0x03, ...leb(0), ...leb(65_536)];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(kernels.map(signature))),
    ...section(2, vector([memory])),
    ...section(3, vector(kernels.map((_, i) => leb(i)))),
    ...section(7, vector(kernels.map(({ name }, i) => [...text(name), 0x00, ...leb(i)]))),
    ...section(10, vector(kernels.map(body))),
  ]);
}
