/**
 * The step's arithmetic over memory that threads share: by vector instructions where the memory is that
 * of a WebAssembly instance, else by the loops in JavaScript. The bits are the same (NUMERICS 2).
 *
 * What a call is given lies in that memory; the last elements, fewer than a turn, are left to the loops.
 */
import type { WasmMemory } from './shared-memory.ts';
import { addInto, scaleRoot } from './tree.ts';
import { type SgdStep, sgdStep } from './update.ts';
import { vectorProgram } from './vector-program.ts';
import { roundToBfloat16, type RoundTo } from './weight-layout.ts';

export interface Loops {
  addInto(left: Float32Array, right: Float32Array): void;
  scaleRoot(values: Float32Array, leaves: number): void;
  sgdStep(step: SgdStep): void;
  roundTo: RoundTo;
}

interface Exports {
  round(values: number, bfloat16: number, bytes: number): void;
  add(left: number, right: number, bytes: number): void;
  scale(values: number, bytes: number, divisor: number): void;
  sgd(
    ...args: [
      ...[weights: number, momentum: number, gradient: number],
      ...[nextWeights: number, nextMomentum: number, bytes: number],
      ...[rate: number, momentumFactor: number, weightDecay: number],
    ]
  ): void;
}

/** What is used of it; TypeScript's types for Node leave it to the browser's. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Uint8Array) => object;
    Instance: new (module: object, imports: object) => { exports: unknown };
  };
};

/** Floats that one turn of a vector loop takes. */
const turn = 16;

/** `memory`: null where there are no vector instructions for it. */
export function loopsOver(memory: WasmMemory | null): Loops {
  if (memory === null) return { addInto, scaleRoot, sgdStep, roundTo: roundToBfloat16 };
  const module = new WebAssembly.Module(vectorProgram());
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { add, scale, sgd, round } = exports as Exports;

  /** Runs `vectors` on whole turns, if there are any; returns the first element that is left. */
  const whole = (length: number, vectors: (bytes: number) => void): number => {
    const elements = length - (length % turn);
    if (elements > 0) vectors(4 * elements);
    return elements;
  };
  return {
    addInto(left, right) {
      if (left.length !== right.length) addInto(left, right); // throws
      const rest = whole(left.length, (bytes) => add(left.byteOffset, right.byteOffset, bytes));
      addInto(left.subarray(rest), right.subarray(rest));
    },
    scaleRoot(values, leaves) {
      const rest = whole(values.length, (bytes) => scale(values.byteOffset, bytes, leaves));
      scaleRoot(values.subarray(rest), leaves);
    },
    sgdStep(step) {
      const { weights, momentum, gradient, nextWeights, nextMomentum, start, end } = step;
      const { rate, momentumFactor, weightDecay } = step;
      const at = (values: Float32Array): number => values.byteOffset + 4 * start;
      const rest = whole(end - start, (bytes) =>
        sgd(
          ...([at(weights), at(momentum), at(gradient)] as const),
          ...([at(nextWeights), at(nextMomentum), bytes] as const),
          ...([rate, momentumFactor, weightDecay] as const),
        ),
      );
      sgdStep({ ...step, start: start + rest });
    },
    roundTo(values, into, begin) {
      const rest = whole(values.length, (bytes) =>
        round(values.byteOffset, into.byteOffset + begin, bytes),
      );
      return roundToBfloat16(values.subarray(rest), into, begin + 2 * rest);
    },
  };
}
