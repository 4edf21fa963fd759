/**
 * Archives written a second time, apart from the code that reads them: tar headers field by field,
 * TFRecords with a bitwise checksum and protobufjs for tf.Example, CIFAR's records.
 */
import protobuf from 'protobufjs';

export interface Member {
  name: string;
  data: Uint8Array | string;
  type?: string;
  /** Written in place of the true size. */
  size?: number;
}

const blocks = (bytes: Uint8Array): Buffer => {
  const padded = Buffer.alloc(Math.ceil(bytes.length / 512) * 512);
  padded.set(bytes);
  return padded;
};

function header(name: Uint8Array, size: number, type: string): Buffer {
  const block = Buffer.alloc(512);
  block.set(name.subarray(0, 100));
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A tar of these members; names of more than 100 bytes by PAX or, where asked, GNU's way. */
export function tarOf(members: readonly Member[], long: 'pax' | 'gnu' = 'pax'): Buffer {
  const parts: Buffer[] = [];
  for (const { name, data, type = '0', size } of members) {
    const bytes = Buffer.from(data);
    const nameBytes = Buffer.from(name);
    if (nameBytes.length > 100 && long === 'gnu') {
      const whole = Buffer.concat([nameBytes, Buffer.from([0])]);
      parts.push(header(Buffer.from('././@LongLink'), whole.length, 'L'), blocks(whole));
    } else if (nameBytes.length > 100) {
      const tail = ` path=${name}\n`;
      const least = Buffer.byteLength(tail);
      let length = least + String(least).length;
      length = least + String(length).length;
      const whole = Buffer.from(`${length}${tail}`);
      parts.push(header(Buffer.from('PaxHeaders/x'), whole.length, 'x'), blocks(whole));
    }
    parts.push(header(nameBytes, size ?? bytes.length, type), blocks(bytes));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function masked(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const out = Buffer.alloc(4);
  out.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return out;
}

/** A TFRecord file of these records. */
export function tfrecordOf(records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    records.flatMap((data) => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(data.length));
      return [length, masked(length), Buffer.from(data), masked(data)];
    }),
  );
}

const { root } = protobuf.parse(`syntax = "proto3";
message BytesList { repeated bytes value = 1; }
message FloatList { repeated float value = 1; }
message Int64List { repeated int64 value = 1; }
message Feature { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
message Features { map<string, Feature> feature = 1; }
message Example { Features features = 1; }`);
const exampleType = root.lookupType('Example');

/** A tf.Example; numbers become int64 lists, all else bytes lists. */
export function exampleOf(features: Record<string, Uint8Array | string | number>): Uint8Array {
  const feature = Object.fromEntries(
    Object.entries(features).map(([name, value]) => [
      name,
      typeof value === 'number'
        ? { int64List: { value: [value] } }
        : { bytesList: { value: [Buffer.from(value)] } },
    ]),
  );
  return exampleType.encode(exampleType.create({ features: { feature } })).finish();
}

/** CIFAR's record of a class and 32 × 32 interleaved RGB pixels. */
export function cifarRecord(classes: readonly number[], rgb: Uint8Array): Buffer {
  const planes = Buffer.alloc(3072);
  for (let i = 0; i < 1024; i++) {
    for (let c = 0; c < 3; c++) planes[c * 1024 + i] = rgb[3 * i + c] ?? 0;
  }
  return Buffer.concat([Buffer.from(classes), planes]);
}
