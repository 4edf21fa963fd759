/** Binary PPM: there and back, other writers' headers, and files that are none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageFormat } from '../../../shared/wire/image-format.ts';
import { decodePpm, encodePpm } from '../../../shared/wire/ppm.ts';

const image = { width: 3, height: 2, pixels: Uint8Array.from({ length: 18 }, (_, i) => i * 10) };

test('an image comes back as it went', () => {
  const file = encodePpm(image);
  assert.equal(imageFormat(file), 'ppm');
  const { width, height, pixels } = decodePpm(file, 6);
  assert.deepEqual({ width, height, pixels: Uint8Array.from(pixels) }, image);
});

test('comments and any blanks in the header are read', () => {
  const header = Buffer.from('P6 # by hand\n#\n 3\t2 # so\r\n255\n', 'latin1');
  const file = Buffer.concat([header, image.pixels]);
  assert.deepEqual(Uint8Array.from(decodePpm(file, 6).pixels), image.pixels);
});

test('a file cut short, too large or of another depth is refused', () => {
  const file = encodePpm(image);
  assert.throws(() => decodePpm(file.subarray(0, file.length - 1), 6), /cut short: 17 of 18/);
  assert.throws(() => decodePpm(file, 5), /3 × 2 pixels, more than 5/);
  for (let end = 0; end < file.length - 18; end++)
    assert.throws(() => decodePpm(file.subarray(0, end), 6));
  const texts = [
    'P5\n1 1\n255\n\0\0\0',
    'P6\n1 1\n65535\n\0\0\0',
    'P6\n0 1\n255\n',
    'P6\n-1 1\n255\n\0\0\0',
    'P6\n1 1\n255#\0\0\0',
  ];
  for (const text of texts)
    assert.throws(() => decodePpm(Buffer.from(text, 'latin1'), 6), Error, text);
  assert.throws(() => decodePpm(Buffer.from('P6\n999999999 999999999\n255\n'), 1e8), /more than/);
});

test('formats that are no photographs have no format here', () => {
  for (const text of ['', '<svg xmlns=""/>', '%PDF-1.4', 'RIFF0000WAVE', 'II*\0']) {
    assert.equal(imageFormat(Buffer.from(text, 'latin1')), null, text);
  }
});
