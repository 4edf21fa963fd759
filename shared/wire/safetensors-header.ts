/**
 * The JSON header of a safetensors file from a stranger, read by a grammar of its own.
 *
 * `JSON.parse` would take what the format forbids: a name given twice (the last one wins), other
 * fields, any depth. Here a header is an object of tensors with `dtype`, `shape`, `data_offsets`,
 * and of texts under `__metadata__`; anything else is refused where it stands. Tensors must tile the
 * data: no overlap, no hole, nothing beyond the end. Faults are Errors whose message names the tensor.
 */

export interface HeaderTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  /** Bytes [start, end) of the data that follows the header. */
  start: number;
  end: number;
}

/** Bytes of an element. Types of other widths than whole bytes are not among them. */
export const dtypeBytes: Readonly<Record<string, number>> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2 },
  ...{ U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
};

const nameMax = 512;
const dimensionsMax = 8;

/** A name as it may stand in a message. */
export const quoted = (name: string): string =>
  JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);

/** The tensors of a header's text, in its order. Throws an Error that says what is wrong where. */
export function parseHeader(text: string): HeaderTensor[] {
  const scan = scanner(text);
  const tensors: HeaderTensor[] = [];
  scan.object('the header', nameMax, (name) => {
    if (name === '__metadata__') {
      scan.object('__metadata__', text.length, () => void scan.text('a metadata value'));
      return;
    }
    tensors.push(tensorOf(scan, name));
  });
  scan.end();
  return tensors;
}

function tensorOf(scan: Scanner, name: string): HeaderTensor {
  const what = `tensor ${quoted(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scan.object(what, 32, (field) => {
    if (field === 'dtype') dtype = scan.text(`dtype of ${what}`);
    else if (field === 'shape') shape = scan.numbers(`shape of ${what}`, dimensionsMax);
    else if (field === 'data_offsets') offsets = scan.numbers(`data_offsets of ${what}`, 2);
    else throw new Error(`${what} has an unknown field ${quoted(field)}`);
  });
  const [start, end] = offsets ?? [];
  if (dtype === undefined) throw new Error(`${what} has no dtype`);
  if (shape === undefined) throw new Error(`${what} has no shape`);
  if (start === undefined || end === undefined)
    throw new Error(`${what} has no data_offsets of two numbers`);
  return { name, dtype, shape, start, end };
}

/** Throws unless the tensors lie in the data's bytes side by side, each as long as its shape says. */
export function checkTiling(tensors: readonly HeaderTensor[], dataBytes: number): void {
  let at = 0;
  let before = 'the header';
  for (const tensor of [...tensors].sort((a, b) => a.start - b.start || a.end - b.end)) {
    const { name, dtype, shape, start, end } = tensor;
    const what = `tensor ${quoted(name)}`;
    const each = Object.hasOwn(dtypeBytes, dtype) ? dtypeBytes[dtype] : undefined;
    if (each === undefined) throw new Error(`${what} has an unknown dtype ${quoted(dtype)}`);
    const wanted = shape.reduce((product, side) => product * side, each);
    if (end < start) throw new Error(`${what} ends at byte ${end}, before its start ${start}`);
    if (end > dataBytes)
      throw new Error(`${what} ends at byte ${end} of data that has ${dataBytes} bytes`);
    if (end - start !== wanted)
      throw new Error(
        `${what} of ${dtype} [${shape.join(', ')}] needs ${wanted} bytes, it has ${end - start}`,
      );
    if (start < at) throw new Error(`${what} overlaps ${before}`);
    if (start > at) throw new Error(`${start - at} bytes before ${what} belong to no tensor`);
    at = end;
    before = what;
  }
  if (at < dataBytes) throw new Error(`${dataBytes - at} bytes at the end belong to no tensor`);
}

interface Scanner {
  /** Calls `value` with each name once the name and its colon are read. */
  object(what: string, nameMax: number, value: (name: string) => void): void;
  text(what: string): string;
  /** Whole numbers from 0 to 2^53 - 1, at most so many. */
  numbers(what: string, most: number): number[];
  end(): void;
}

function scanner(text: string): Scanner {
  let at = 0;
  const skip = (): void => {
    while (' \t\n\r'.includes(text[at] ?? 'x')) at += 1;
  };
  const take = (mark: string): boolean => {
    skip();
    if (text[at] !== mark) return false;
    at += 1;
    return true;
  };
  const expect = (mark: string, what: string): void => {
    if (take(mark)) return;
    const found = at >= text.length ? 'its end' : JSON.stringify(text[at]);
    throw new Error(`${what}: expected ${mark} at character ${at} of the header, found ${found}`);
  };
  const string = (what: string): string => {
    expect('"', what);
    const from = at - 1;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    expect('"', what);
    try {
      return JSON.parse(text.slice(from, at)) as string;
    } catch {
      throw new Error(`${what}: a text that is no JSON at character ${from} of the header`);
    }
  };
  return {
    object(what, most, value) {
      expect('{', what);
      const seen = new Set<string>();
      if (take('}')) return;
      do {
        const name = string(what);
        if (name.length > most) throw new Error(`${what} holds a name of ${name.length} letters`);
        if (seen.has(name)) throw new Error(`${what} holds ${quoted(name)} twice`);
        seen.add(name);
        expect(':', what);
        value(name);
      } while (take(','));
      expect('}', what);
    },
    text: string,
    numbers(what, most) {
      expect('[', what);
      const found: number[] = [];
      if (take(']')) return found;
      do {
        skip();
        const digits = /^(?:0|[1-9]\d*)(?![\d.eE])/.exec(text.slice(at, at + 20))?.[0] ?? '';
        const number = Number(digits);
        if (digits === '' || !Number.isSafeInteger(number))
          throw new Error(`${what}: expected a whole number at character ${at} of the header`);
        if (found.length === most) throw new Error(`${what} has more than ${most} numbers`);
        found.push(number);
        at += digits.length;
      } while (take(','));
      expect(']', what);
      return found;
    },
    end() {
      skip();
      if (at < text.length) throw new Error(`something follows the header's object at ${at}`);
    },
  };
}
