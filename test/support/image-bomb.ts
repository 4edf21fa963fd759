/** A PNG of a few hundred kilobytes whose header promises as many pixels as one likes. */
import { crc32, deflateSync } from 'node:zlib';

function chunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(body.length, 0);
  ends.writeUInt32BE(crc32(typed), 4);
  return Buffer.concat([ends.subarray(0, 4), typed, ends.subarray(4)]);
}

export function imageBomb(width: number, height: number): Buffer {
  const sizes = Buffer.alloc(13);
  sizes.writeUInt32BE(width, 0);
  sizes.writeUInt32BE(height, 4);
  sizes.set([1, 0, 0, 0, 0], 8); // one bit of gray a pixel
  // Rows of zeros: a thousandth of the pixels' size, as a bomb has it.
  const body = deflateSync(Buffer.alloc(Math.min(height, 2000) * (1 + Math.ceil(width / 8))));
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([
    ...[signature, chunk('IHDR', sizes), chunk('IDAT', body)],
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
