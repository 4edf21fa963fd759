/** Decoding: every kind of image becomes the same kind of pixels, or says why it cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import type { DecodedImage } from '../../../shared/core/sample.ts';
import { syntheticImage } from '../../../shared/core/synthetic.ts';
import { encodePpm } from '../../../shared/wire/ppm.ts';
import { imageBomb } from '../../support/image-bomb.ts';
import { canaryImage } from '../../../worker/shell/canary-image.ts';
import { decodeImage, grayImage, pixelHash } from '../../../worker/shell/decode.ts';

// Seen with sharp 0.35.5 on Node 20, 22 and 24. A newer sharp may change them: the device class changes with it.
const goldenCanaryWhole = '2811c4aa495095e646374a528934880d6ba65287628b2da82445b7909050e558';
const goldenCanaryShrunk = 'eb547da3849ad9c1e66a38ae20ff9f735c6a6fe742b94d056f84ba7130b4dc11';

const flat = (channels: 3 | 4, alpha = 1, width = 10, height = 10): Sharp =>
  sharp({ create: { width, height, channels, background: { r: 200, g: 100, b: 50, alpha } } });

function pixelAt(image: DecodedImage, canvas: number, x: number, y: number): number[] {
  return [...image.pixels.subarray((y * canvas + x) * 3, (y * canvas + x) * 3 + 3)];
}

test('an image lies in the top-left corner of a black canvas', async () => {
  const image = await decodeImage(await flat(3, 1, 10, 6).png().toBuffer(), 16);
  assert.deepEqual([image.width, image.height, image.pixels.length], [10, 6, 16 * 16 * 3]);
  assert.deepEqual(pixelAt(image, 16, 9, 5), [200, 100, 50]);
  assert.deepEqual(pixelAt(image, 16, 10, 5), [0, 0, 0]);
  assert.deepEqual(pixelAt(image, 16, 9, 6), [0, 0, 0]);
});

test('a larger image shrinks to fit, a smaller one keeps its size', async () => {
  const sizes: [number, number, number, number][] = [
    [64, 32, 16, 8],
    [33, 66, 8, 16],
    [16, 16, 16, 16],
    [3, 2, 3, 2],
    [1, 1, 1, 1],
    [500, 1, 16, 1],
  ];
  for (const [width, height, toWidth, toHeight] of sizes) {
    const image = await decodeImage(await flat(3, 1, width, height).jpeg().toBuffer(), 16);
    assert.deepEqual([image.width, image.height], [toWidth, toHeight], `${width} × ${height}`);
  }
});

test('alpha is laid over black', async () => {
  const image = await decodeImage(await flat(4, 0.5).png().toBuffer(), 16);
  assert.deepEqual(pixelAt(image, 16, 4, 4), [100, 50, 25]);
  const hidden = await decodeImage(await flat(4, 0).webp({ lossless: true }).toBuffer(), 16);
  assert.deepEqual(pixelAt(hidden, 16, 4, 4), [0, 0, 0]);
});

test('gray, gray with alpha, palette, 16 bit and CMYK become 8-bit RGB', async () => {
  const raw = (channels: 1 | 2, value: number): Sharp =>
    sharp(Buffer.alloc(100 * channels, value), { raw: { width: 10, height: 10, channels } });
  const sixteen = sharp(new Uint16Array(300).fill(0x8080), {
    raw: { width: 10, height: 10, channels: 3 },
  });
  const cases: [string, Buffer, number[]][] = [
    ['gray', await raw(1, 77).png().toBuffer(), [77, 77, 77]],
    ['gray with alpha', await raw(2, 128).png().toBuffer(), [64, 64, 64]],
    ['palette', await flat(3).png({ palette: true }).toBuffer(), [200, 100, 50]],
    ['16 bit', await sixteen.toColourspace('rgb16').png().toBuffer(), [128, 128, 128]],
  ];
  for (const [name, bytes, expected] of cases) {
    assert.deepEqual(pixelAt(await decodeImage(bytes, 16), 16, 5, 5), expected, name);
  }
  const cmyk = await flat(3).toColourspace('cmyk').jpeg().toBuffer();
  assert.equal((await sharp(cmyk).metadata()).space, 'cmyk');
  const near = pixelAt(await decodeImage(cmyk, 16), 16, 5, 5);
  assert.ok(
    Math.abs(near[0]! - 200) < 12 && Math.abs(near[1]! - 100) < 12 && Math.abs(near[2]! - 50) < 35,
    String(near),
  );
});

test('EXIF orientation is applied: the top row of a quarter-turned file is its left column', async () => {
  // Left half red, right half blue, stored; orientation 6 turns clockwise: red comes to the top.
  const stored = await sharp({ create: { width: 16, height: 8, channels: 3, background: '#00f' } })
    .composite([
      {
        input: await sharp({ create: { width: 8, height: 8, channels: 3, background: '#f00' } })
          .png()
          .toBuffer(),
        left: 0,
        top: 0,
      },
    ])
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
    .toBuffer();
  const image = await decodeImage(stored, 16);
  assert.deepEqual([image.width, image.height], [8, 16]);
  assert.ok(pixelAt(image, 16, 4, 1)[0]! > 240);
  assert.ok(pixelAt(image, 16, 4, 14)[2]! > 240);
});

test('an animation gives its first frame', async () => {
  const frames = await Promise.all(
    ['#f00', '#0f0'].map((background) =>
      sharp({ create: { width: 10, height: 10, channels: 3, background } })
        .png()
        .toBuffer(),
    ),
  );
  const gif = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
  assert.equal((await sharp(gif).metadata()).pages, 2);
  const image = await decodeImage(gif, 16);
  assert.equal(image.height, 10);
  assert.deepEqual(pixelAt(image, 16, 5, 5), [255, 0, 0]);
});

test('a drawn flower keeps its pixels, and shrinks like a photograph', async () => {
  const flower = syntheticImage(1, 2);
  const whole = await decodeImage(encodePpm(flower), 96);
  assert.deepEqual(whole.pixels, flower.pixels);
  const small = await decodeImage(encodePpm(flower), 48);
  assert.deepEqual([small.width, small.height], [48, 48]);
});

test('bytes that are no whole image are refused as undecodable', async () => {
  const jpeg = await sharp(syntheticImage(1, 3).pixels, {
    raw: { width: 96, height: 96, channels: 3 },
  })
    .jpeg()
    .toBuffer();
  const png = await flat(3).png().toBuffer();
  const cases: [string, Uint8Array][] = [
    ['nothing', new Uint8Array(0)],
    ['zeros', new Uint8Array(500)],
    ['text', Buffer.from('hello')],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>')],
    ['half a JPEG', jpeg.subarray(0, jpeg.length >> 1)],
    ['a JPEG without its end', jpeg.subarray(0, jpeg.length - 200)],
    ['half a PNG', png.subarray(0, png.length - 20)],
    ['half a PPM', encodePpm(syntheticImage(1, 3)).subarray(0, 5000)],
  ];
  for (const [name, bytes] of cases) {
    await assert.rejects(decodeImage(bytes, 16), { code: 'sample-undecodable' }, name);
  }
});

test('the canary decodes to the pixels that this image library always gave', async () => {
  const whole = await decodeImage(canaryImage, 32);
  assert.deepEqual([whole.width, whole.height], [24, 32]);
  assert.equal(pixelHash(whole), goldenCanaryWhole);
  assert.equal(pixelHash(await decodeImage(canaryImage, 16)), goldenCanaryShrunk);
});

test('pixels do not depend on how many decode side by side, nor on SIMD', async () => {
  const file = await sharp(syntheticImage(1, 4, { size: 200 }).pixels, {
    raw: { width: 200, height: 200, channels: 3 },
  })
    .jpeg()
    .toBuffer();
  const hashes = await Promise.all(
    Array.from({ length: 12 }, async () => pixelHash(await decodeImage(file, 48))),
  );
  sharp.simd(false);
  hashes.push(pixelHash(await decodeImage(file, 48)));
  sharp.simd(true);
  assert.equal(new Set(hashes).size, 1);
});

test('the stand-in is mid-gray all over', () => {
  const image = grayImage(4);
  assert.deepEqual([image.width, image.height], [4, 4]);
  assert.deepEqual(
    [...image.pixels],
    Array.from({ length: 48 }, () => 128),
  );
});

test('a pixel hash tells sizes apart even where the canvas is equal', () => {
  const pixels = new Uint8Array(48);
  const hashes = [
    [4, 4],
    [4, 3],
    [3, 4],
  ].map(([height, width]) => pixelHash({ pixels, height: height!, width: width! }));
  assert.equal(new Set(hashes).size, 3);
});

test('an image bomb is refused by the size in its header, before its pixels take memory', async () => {
  const before = process.memoryUsage().rss;
  for (const bomb of [
    imageBomb(20_000, 20_000),
    imageBomb(1_000_000, 1000),
    imageBomb(65_535, 65_535),
  ]) {
    assert.ok(bomb.length < 300_000, `${bomb.length} bytes`);
    await assert.rejects(decodeImage(bomb, 16), /sample-undecodable|does not|do not decode/);
  }
  const lying = Buffer.from('P6 100000 100000 255\n');
  await assert.rejects(decodeImage(lying, 16), /do not decode/);
  // 400 million pixels would be 400 MB and more.
  assert.ok(process.memoryUsage().rss - before < 200e6);
});
