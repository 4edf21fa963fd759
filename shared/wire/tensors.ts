/**
 * Flat f32 vectors and bytes. The wire and the files are little-endian; so is every machine that
 * Node and TensorFlow run on here, which `shared/adapters/grpc.ts` asserts once.
 *
 * Received bytes may begin at any offset modulo 4, so they are copied before they are seen as f32.
 */

/** The bytes of a vector, not copied. */
export function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Copies received bytes into `target` at element `start`. Bytes must be a whole number of f32. */
export function copyFloats(bytes: Uint8Array, target: Float32Array, start: number): void {
  new Uint8Array(target.buffer, target.byteOffset + 4 * start, bytes.byteLength).set(bytes);
}

/** A new vector with the received bytes. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const out = new Float32Array(bytes.byteLength / 4);
  copyFloats(bytes, out, 0);
  return out;
}
