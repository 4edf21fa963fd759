/** The cache of decoded images: one decode at a time for each, bounded, never silently other pixels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { DecodedImage } from '../../../shared/core/sample.ts';
import { pixelCache } from '../../../worker/shell/pixel-cache.ts';

const image = (value: number): DecodedImage => ({
  pixels: new Uint8Array(48).fill(value),
  height: 4,
  width: 4,
});

test('an image is decoded once however many ask at once or later', async () => {
  const cache = pixelCache({ bytesMax: 1000, decodesMax: 2 });
  const ask = (): Promise<DecodedImage> => cache.get('a', async () => image(1));
  const [first, second] = await Promise.all([ask(), ask()]);
  assert.equal(first, second);
  assert.equal(await ask(), first);
  assert.deepEqual(cache.describe(), { images: 1, bytes: 48, decoding: 0, hits: 1, decodes: 1 });
});

test('beyond its bytes the least recently used image goes', async () => {
  const cache = pixelCache({ bytesMax: 2 * 48, decodesMax: 1 });
  const decoded: string[] = [];
  const ask = (key: string): Promise<DecodedImage> =>
    cache.get(key, async () => {
      decoded.push(key);
      return image(key.charCodeAt(0));
    });
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await ask(key);
  assert.deepEqual(decoded, ['a', 'b', 'c', 'b']);
  assert.equal(cache.describe().bytes, 96);
});

test('an image larger than the whole cache is handed out and not kept', async () => {
  const cache = pixelCache({ bytesMax: 47, decodesMax: 1 });
  await cache.get('a', async () => image(1));
  assert.equal(cache.describe().bytes, 0);
});

test('a later decode with other pixels is refused, and refused again', async () => {
  const cache = pixelCache({ bytesMax: 0, decodesMax: 1 });
  await cache.get('a', async () => image(1));
  await cache.get('a', async () => image(1));
  const other = (): Promise<DecodedImage> => cache.get('a', async () => image(2));
  await assert.rejects(other(), { code: 'compute-failed', message: /other pixels/ });
  await assert.rejects(other(), { code: 'compute-failed' });
});

test('never more than the limit decode at once, and all get their turn', async () => {
  const cache = pixelCache({ bytesMax: 1e6, decodesMax: 3 });
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      cache.get(String(i), async () => {
        most = Math.max(most, ++running);
        for (let k = 0; k < i % 5; k++) await setImmediate();
        running--;
        return image(i);
      }),
    ),
  );
  assert.equal(most, 3);
  assert.equal(cache.describe().decoding, 0);
  assert.equal(cache.describe().images, 40);
});

test('a decode that fails is told to all who wait, keeps nothing and may be tried again', async () => {
  const cache = pixelCache({ bytesMax: 1000, decodesMax: 1 });
  const fail = (): Promise<DecodedImage> => cache.get('a', () => Promise.reject(new Error('bad')));
  const results = await Promise.allSettled([fail(), fail()]);
  assert.ok(results.every(({ status }) => status === 'rejected'));
  assert.equal((await cache.get('a', async () => image(3))).pixels[0], 3);
  assert.equal(cache.describe().decoding, 0);
});
