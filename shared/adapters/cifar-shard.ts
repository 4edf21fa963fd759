/**
 * CIFAR's binary files: records of a fixed length, one or two bytes of class and 32 × 32 pixels in
 * three planes (cs.toronto.edu/~kriz/cifar.html, "binary version").
 *
 * Their pixels are not encoded, so a sample's file is the binary PPM of its pixels: it has a hash,
 * travels and decodes like any photograph's.
 */
import { encodePpm } from '../wire/ppm.ts';
import { damaged, type ShardEntry, type ShardFile, type ShardKind } from './shard.ts';

export const cifarSide = 32;
const plane = cifarSide * cifarSide;
/** Bytes of pixels in a record. */
export const cifarPixelBytes = 3 * plane;

/** `labelBytes`: 1 (CIFAR-10), or 2 (CIFAR-100: coarse, then fine, which counts). */
function cifarShard(labelBytes: number, classFiles: readonly string[]): ShardKind {
  const recordBytes = labelBytes + cifarPixelBytes;
  async function entries(file: ShardFile): Promise<ShardEntry[]> {
    if (file.size === 0 || file.size % recordBytes !== 0) {
      const expected = `expected whole CIFAR records of ${recordBytes} bytes`;
      throw damaged(
        file,
        file.size - (file.size % recordBytes),
        `${expected}, found ${file.size} bytes`,
      );
    }
    const found: ShardEntry[] = [];
    for (let index = 0; index < file.size / recordBytes; index++) {
      const at = index * recordBytes;
      const label = (await file.view(at, labelBytes))?.[labelBytes - 1];
      const offset = at + labelBytes;
      found.push({ name: null, index, offset, bytes: cifarPixelBytes, label: label ?? null });
    }
    return found;
  }
  return { kind: 'cifar', entries, encoded: ppmOfPlanes, classFiles };
}

/** The PPM file of red, green and blue planes. */
export function ppmOfPlanes(planes: Uint8Array): Uint8Array {
  const pixels = new Uint8Array(cifarPixelBytes);
  for (let i = 0; i < plane; i++) {
    pixels[3 * i] = planes[i]!;
    pixels[3 * i + 1] = planes[plane + i]!;
    pixels[3 * i + 2] = planes[2 * plane + i]!;
  }
  return encodePpm({ width: cifarSide, height: cifarSide, pixels });
}

export const cifar10Shard = cifarShard(1, ['batches.meta.txt']);
export const cifar100Shard = cifarShard(2, ['fine_label_names.txt']);
