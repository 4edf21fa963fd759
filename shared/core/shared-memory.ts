/**
 * Memory that threads share, from the start of a page on. TensorFlow uses memory of ours in place only
 * where it is aligned to 64 bytes, and vector instructions reach no other memory than that of a
 * WebAssembly instance, which begins at a page: so that is what large memory is made of.
 */

/** What is used of the class; TypeScript's types for Node leave it to the browser's. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

export interface SharedMemory {
  buffer: SharedArrayBuffer;
  /** Null where the memory is small, or address space short. */
  wasm: WasmMemory | null;
}

const wasmPageBytes = 65_536;
/** Below it neither a copy nor a loop in JavaScript matters, and address space is saved. */
const smallBytes = 1024 * 1024;

const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory;
  };
};

/** Zeros. */
export function sharedMemory(bytes: number): SharedMemory {
  if (bytes < smallBytes) return plainMemory(bytes);
  const pages = Math.ceil(bytes / wasmPageBytes);
  try {
    const wasm = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return { buffer: wasm.buffer, wasm };
  } catch {
    return plainMemory(bytes);
  }
}

/** Zeros, from anywhere on and without vector instructions. */
export function plainMemory(bytes: number): SharedMemory {
  return { buffer: new SharedArrayBuffer(bytes), wasm: null };
}
