/**
 * The table of images that are odd or bad: what `data inspect` says of each, what the workers'
 * decoder makes of it. Nothing hangs, nothing is lost, no message is longer than a line.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { decodeImage } from '../../worker/shell/decode.ts';
import { command } from '../support/command.ts';

const base = mkdtempSync(join(tmpdir(), 'tandem-images-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Red above, blue below, 24 × 16. */
const picture = (): Sharp => {
  const pixels = Buffer.alloc(24 * 16 * 3);
  for (let i = 0; i < 24 * 16; i += 1) pixels[3 * i + (i < 24 * 8 ? 0 : 2)] = 200;
  return sharp(pixels, { raw: { width: 24, height: 16, channels: 3 } });
};
const noise = { type: 'gaussian', mean: 128, sigma: 50 } as const;
const noisy = sharp({ create: { width: 64, height: 48, channels: 3, background: '#555', noise } });
const jpeg = await picture().jpeg().toBuffer();
const png = await picture().png().toBuffer();
const noisyJpeg = await noisy.clone().jpeg().toBuffer();
const noisyPng = await noisy.clone().png().toBuffer();
const noisyWebp = await noisy.clone().webp().toBuffer();
const frames = Buffer.concat([await picture().raw().toBuffer(), Buffer.alloc(24 * 16 * 3, 9)]);
const animation = (): Sharp =>
  sharp(frames, { raw: { width: 24, height: 32, channels: 3, pageHeight: 16 } });

/** The PNG with another size in its header, checksum renewed. */
function pngOfSize(width: number, height: number): Buffer {
  const changed = Buffer.from(png);
  changed.writeUInt32BE(width, 16);
  changed.writeUInt32BE(height, 20);
  changed.writeUInt32BE(crc32(changed.subarray(12, 29)), 29);
  return changed;
}

/** The JPEG with another size in its frame header. */
function jpegOfSize(width: number, height: number): Buffer {
  const changed = Buffer.from(jpeg);
  const frame = changed.indexOf(Buffer.from([0xff, 0xc0]));
  changed.writeUInt16BE(height, frame + 5);
  changed.writeUInt16BE(width, frame + 7);
  return changed;
}

interface Odd {
  what: string;
  name: string;
  bytes: Uint8Array | string;
  /** Why it is left out; absent: it is taken. */
  leftOut?: RegExp;
  /** What the decoder says; absent: it gives the picture, this wide and high. */
  undecodable?: RegExp;
  shape?: [number, number];
}

const whole = (
  what: string,
  name: string,
  bytes: Uint8Array,
  shape: [number, number] = [24, 16],
) => ({
  what,
  name,
  bytes,
  shape,
});
const out = (what: string, name: string, bytes: Uint8Array | string, leftOut: RegExp) => ({
  what,
  name,
  bytes,
  leftOut,
});
const cut = (what: string, name: string, bytes: Uint8Array) => ({
  what,
  name,
  bytes,
  undecodable: /^Expected a whole JPEG, .* bytes that do not decode .*replace or remove the file/,
});

const table: Odd[] = [
  whole('an animated GIF, by its first frame', 'a.gif', await animation().gif().toBuffer()),
  whole(
    'an animated WebP, by its first frame',
    'a.webp',
    await animation().webp({ lossless: true }).toBuffer(),
  ),
  whole('CMYK', 'a.jpg', await picture().toColourspace('cmyk').jpeg().toBuffer()),
  whole('16 bit', 'a.png', await picture().toColourspace('rgb16').png().toBuffer()),
  whole('gray', 'a.jpg', await picture().grayscale().jpeg().toBuffer()),
  whole('a palette', 'a.png', await picture().png({ palette: true }).toBuffer()),
  whole('alpha', 'a.png', await picture().ensureAlpha(0.5).png().toBuffer()),
  whole(
    'turned by EXIF',
    'a.jpg',
    await picture().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    [16, 24],
  ),
  whole('a PNG by the name of a JPEG', 'a.jpg', png),
  whole('a JPEG by the name of a PNG', 'a.png', jpeg),
  whole('a name in capitals', 'A.JPEG', jpeg),
  whole('a name in NFD', 'e\u0301te\u0301.jpg', jpeg),
  whole('a name with a line feed and a colour', 'a\n\u001b[31mb.jpg', jpeg),
  whole(
    'one pixel',
    'a.png',
    await sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } })
      .png()
      .toBuffer(),
    [1, 1],
  ),
  out('no bytes', 'a.jpg', '', /an empty file/),
  out('a text', 'a.jpg', 'not an image', /first bytes are not those of/),
  out('nothing but zeros', 'a.jpg', new Uint8Array(4096), /first bytes are not those of/),
  out(
    'a header cut short (JPEG)',
    'a.jpg',
    jpeg.subarray(0, 25),
    /its header does not read as jpeg/,
  ),
  out('a header cut short (PNG)', 'a.png', png.subarray(0, 20), /its header does not read as png/),
  out(
    '60,000 × 60,000 pixels (PNG)',
    'a.png',
    pngOfSize(60_000, 60_000),
    /60000 × 60000 pixels, more than 100000000|more pixels than 100000000/,
  ),
  out(
    '60,000 × 60,000 pixels (JPEG)',
    'a.jpg',
    jpegOfSize(60_000, 60_000),
    /60000 × 60000 pixels, more than 100000000|more pixels than 100000000/,
  ),
  out('no pixels (PNG)', 'a.png', pngOfSize(0, 16), /its header does not read as png/),
  out('a TIFF', 'a.jpg', await picture().tiff().toBuffer(), /first bytes are not those of/),
  out(
    'a drawing',
    'a.png',
    '<svg xmlns="x" width="8" height="8"/>',
    /first bytes are not those of/,
  ),
  out('no image by its name', 'a.heic', jpeg, /not an image by its name/),
  cut('a body cut short (JPEG)', 'a.jpg', noisyJpeg.subarray(0, 900)),
  cut('a body cut short (PNG)', 'a.png', noisyPng.subarray(0, 900)),
  out(
    'a body cut short (WebP)',
    'a.webp',
    noisyWebp.subarray(0, noisyWebp.length >> 1),
    /its header does not read as webp/,
  ),
  out(
    'a body of zeros (PNG)',
    'a.png',
    Buffer.concat([noisyPng.subarray(0, 40), Buffer.alloc(noisyPng.length - 40)]),
    /its header does not read as png/,
  ),
];

let folders = 0;
async function inspected(put: (root: string) => void) {
  folders += 1;
  const root = join(base, String(folders));
  mkdirSync(root);
  put(root);
  writeFileSync(join(root, 'good.jpg'), jpeg);
  const { code, out: text, err } = await command(['data', 'inspect', root, '--json']);
  assert.equal(code, 0, err);
  assert.equal(err, '');
  const report = JSON.parse(text) as {
    images: number;
    leftOut: { reason: string; files: number }[];
  };
  const people = await command(['data', 'inspect', root]);
  assert.doesNotMatch(people.out, /\u001b|\n\s+at /);
  return report;
}

for (const { what, name, bytes, leftOut, undecodable, shape } of table)
  test(`an image with ${what}: ${leftOut ? 'left out, and said' : undecodable ? 'mid-gray, and said' : 'taken'}`, async () => {
    const report = await inspected((root) => writeFileSync(join(root, name), bytes));
    assert.equal(report.images, leftOut === undefined ? 2 : 1);
    assert.equal(report.leftOut.length, leftOut === undefined ? 0 : 1);
    if (leftOut !== undefined) {
      assert.match(report.leftOut[0]?.reason ?? '', leftOut);
      return;
    }
    if (undecodable !== undefined) {
      await assert.rejects(decodeImage(Buffer.from(bytes), 64), (error: Error) => {
        assert.match(error.message, undecodable);
        return !error.message.includes('\n');
      });
      return;
    }
    const { width, height, pixels } = await decodeImage(Buffer.from(bytes), 64);
    assert.deepEqual([width, height], shape);
    assert.ok(pixels.some((value) => value > 50));
  });

test('what is no file of its own is left out: pipe, socket of a name, folder, links, size', async () => {
  const report = await inspected((root) => {
    assert.equal(spawnSync('mkfifo', [join(root, 'pipe.jpg')]).status, 0);
    mkdirSync(join(root, 'folder.jpg'));
    symlinkSync('self.jpg', join(root, 'self.jpg'));
    symlinkSync('nowhere.jpg', join(root, 'dangling.jpg'));
    writeFileSync(join(root, 'vast.jpg'), '');
    truncateSync(join(root, 'vast.jpg'), 65 * 1024 ** 2 + 1);
    writeFileSync(join(root, '.hidden.jpg'), jpeg);
    writeFileSync(join(root, 'e\u0301.jpg'), jpeg);
    writeFileSync(join(root, '\u00e9.jpg'), jpeg);
  });
  const reasons = new Map(report.leftOut.map(({ reason, files }) => [reason, files]));
  const counted = (pattern: RegExp): number =>
    [...reasons].reduce((sum, [reason, files]) => sum + (pattern.test(reason) ? files : 0), 0);
  assert.equal(report.images, 2, 'the good one, and one of the two names');
  assert.equal(counted(/neither a file nor a folder/), 1);
  assert.equal(counted(/symbolic links in a circle/), 1);
  assert.equal(counted(/link|nothing/), 2);
  assert.equal(counted(/larger than \d+ bytes/), 1);
  assert.equal(counted(/hidden/), 1);
  assert.equal(counted(/the same name as another file, in another Unicode form/), 1);
});
