/**
 * Binary PPM (P6, 8 bits a channel): the plainest image file there is, used for drawn samples so
 * that they have bytes, a hash and a decoder like any photograph.
 *
 * Source: the netpbm format description. Reading takes whitespace and comments anywhere in the
 * header; writing makes one form only, so that equal pixels are equal bytes.
 */

export interface RawImage {
  width: number;
  height: number;
  /** [height, width, 3], RGB, row by row. */
  pixels: Uint8Array;
}

/** The file of an image. */
export function encodePpm(image: RawImage): Uint8Array {
  const header = `P6\n${image.width} ${image.height}\n255\n`;
  const bytes = new Uint8Array(header.length + image.pixels.length);
  for (let i = 0; i < header.length; i++) bytes[i] = header.charCodeAt(i);
  bytes.set(image.pixels, header.length);
  return bytes;
}

/**
 * The image in a PPM file of at most `pixelsMax` pixels. Pixels are a view into `bytes`, no copy.
 * Throws an Error that says what is wrong with the file.
 */
export function decodePpm(bytes: Uint8Array, pixelsMax: number): RawImage {
  if (bytes[0] !== 0x50 || bytes[1] !== 0x36) throw new Error('no P6 at the start');
  let at = 2;
  const number = (name: string): number => {
    at = skipBlank(bytes, at);
    const start = at;
    let value = 0;
    for (; isDigit(bytes[at]) && at - start < 9; at++) value = value * 10 + (bytes[at]! - 0x30);
    if (at === start) throw new Error(`no ${name} in the header`);
    return value;
  };
  const width = number('width');
  const height = number('height');
  const greatest = number('greatest value');
  if (greatest !== 255) throw new Error(`greatest value ${greatest}, expected 255`);
  if (width < 1 || height < 1) throw new Error(`${width} × ${height} pixels: no image`);
  if (width * height > pixelsMax) {
    throw new Error(`${width} × ${height} pixels, more than ${pixelsMax}`);
  }
  if (!isBlank(bytes[at])) throw new Error('no blank after the header');
  const start = at + 1;
  const length = width * height * 3;
  if (bytes.length - start < length) {
    throw new Error(`cut short: ${bytes.length - start} of ${length} bytes of pixels`);
  }
  return { width, height, pixels: bytes.subarray(start, start + length) };
}

/** The next place that is neither blank nor inside a comment. */
function skipBlank(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    if (isBlank(bytes[at])) at++;
    else if (bytes[at] === 0x23) while (at < bytes.length && bytes[at] !== 0x0a) at++;
    else return at;
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
