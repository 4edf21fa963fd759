/** The contact sheet: a PNG in which each view lies where its heading says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { contactSheet } from '../../cli/contact-sheet.ts';

const size = 32;
const red = Uint8Array.from({ length: size * size * 3 }, (_, i) => (i % 3 === 0 ? 255 : 0));
const blue = Float32Array.from({ length: size * size * 3 }, (_, i) => (i % 3 === 2 ? 1.5 : -1));

test('original, view 1 and view 2 stand side by side, bytes and floats alike', async () => {
  const original = { pixels: new Uint8Array(64 * 64 * 3).fill(255), height: 64, width: 64 };
  const png = await contactSheet([{ view1: red, view2: blue, label: 'a <b> & c', original }], size);
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number): number[] => [
    ...data.subarray(
      (y * info.width + x) * info.channels,
      (y * info.width + x) * info.channels + 3,
    ),
  ];
  assert.equal(info.width, 10 + 3 * 96 + 6 + 10);
  assert.deepEqual(at(10 + 48, 34 + 48), [255, 255, 255]);
  assert.deepEqual(at(10 + 99 + 48, 34 + 48), [255, 0, 0]);
  assert.deepEqual(at(10 + 198 + 48, 34 + 48), [0, 0, 255]);
});

test('seven tiles without originals make three columns', async () => {
  const tiles = Array.from({ length: 7 }, (_, i) => ({
    view1: red,
    view2: red,
    label: `${i}\u0001`,
  }));
  const { width, height, format } = await sharp(await contactSheet(tiles, size)).metadata();
  assert.deepEqual([width, height, format], [10 + 3 * 304, 34 + 3 * 128, 'png']);
});

test('no tiles, too many, or a view of another size is a broken call', async () => {
  await assert.rejects(contactSheet([], size), RangeError);
  await assert.rejects(contactSheet([{ view1: red, view2: blue, label: '' }], 16), RangeError);
  const many = Array.from({ length: 97 }, () => ({ view1: red, view2: red, label: '' }));
  await assert.rejects(contactSheet(many, size), RangeError);
});
