/**
 * Which kind of image some bytes hold, told by their first bytes and never by the file's name.
 *
 * Only these kinds ever reach a decoder: a photograph's folder is foreign input, and formats that
 * run small programs or fetch other files (SVG, PDF, and so on) are no photographs.
 */

export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'ppm';

/** Bytes of a file's head that `imageFormat` wants to see. */
export const imageHeadBytes = 12;

/** The format that the first bytes announce; null for anything else. */
export function imageFormat(head: Uint8Array): ImageFormat | null {
  if (hasBytes(head, 0, [0xff, 0xd8, 0xff])) return 'jpeg';
  if (hasBytes(head, 0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) return 'png';
  // 'RIFF', four bytes of length, 'WEBP'.
  if (hasBytes(head, 0, [0x52, 0x49, 0x46, 0x46]) && hasBytes(head, 8, [0x57, 0x45, 0x42, 0x50])) {
    return 'webp';
  }
  // 'GIF87a' and 'GIF89a'.
  if (hasBytes(head, 0, [0x47, 0x49, 0x46, 0x38])) return 'gif';
  if (hasBytes(head, 0, [0x50, 0x36])) return 'ppm';
  return null;
}

function hasBytes(bytes: Uint8Array, at: number, expected: readonly number[]): boolean {
  return expected.every((value, i) => bytes[at + i] === value);
}
