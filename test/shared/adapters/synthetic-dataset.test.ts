/** Drawn flowers as samples: the same bytes everywhere, files like any other. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { comparePaths } from '../../../shared/adapters/fingerprint.ts';
import { openDataset } from '../../../shared/adapters/open-dataset.ts';
import {
  parseSyntheticCount,
  syntheticDataset,
} from '../../../shared/adapters/synthetic-dataset.ts';
import { decodePpm } from '../../../shared/wire/ppm.ts';

// Seen on Node 20, 22 and 24. Another value means that runs on drawn flowers change their identity.
const goldenOf40 = 'a88adfbf23d70595cb89a80f0d6cbfef5dc47e44dad575acdfdeb6b3468657ef';

test('forty drawn flowers have the fingerprint that they always had', async () => {
  const { fingerprint, samples, leftOut } = await syntheticDataset(40).index();
  assert.equal(fingerprint, goldenOf40);
  assert.equal(samples.length, 40);
  assert.deepEqual(leftOut, []);
});

test('samples stand in the order of their paths, with class and number in the path', async () => {
  const { samples } = await syntheticDataset(20).index();
  assert.deepEqual(
    samples.map((s) => s.index),
    samples.map((_, place) => place),
  );
  assert.deepEqual(
    [...samples].sort((a, b) => comparePaths(a.path, b.path)),
    samples,
  );
  assert.equal(samples[0]!.path, 'bellflower/000000.ppm');
  assert.equal(samples[0]!.label, 'bellflower');
});

test('a sample is read as a file with its size and hash', async () => {
  const data = syntheticDataset(9);
  const sample = (await data.index()).samples[3]!;
  const bytes = await data.read(sample);
  assert.equal(bytes!.length, sample.bytes);
  assert.equal(createHash('sha256').update(bytes!).digest('hex'), sample.sha256);
  assert.equal(decodePpm(bytes!, 1e4).width, 96);
});

test('a sample of another dataset, count or hash is not there', async () => {
  const sample = (await syntheticDataset(9).index()).samples.find((s) =>
    s.path.includes('000008'),
  )!;
  assert.equal(await syntheticDataset(8).read(sample), null);
  assert.equal(await syntheticDataset(9).read({ ...sample, sha256: '0'.repeat(64) }), null);
  assert.equal(await syntheticDataset(9).read({ ...sample, path: 'tulip/000008.ppm' }), null);
  assert.equal(await syntheticDataset(9).read({ ...sample, path: '../000008.ppm' }), null);
  assert.equal(await syntheticDataset(9).read({ ...sample, path: 'photograph.jpg' }), null);
});

test('indexing counts up to the end and stops when told', async () => {
  const counts: number[] = [];
  await syntheticDataset(5).index(({ done, total }) => counts.push(done / total));
  assert.deepEqual(counts, [0.2, 0.4, 0.6, 0.8, 1]);
  const abort = new AbortController();
  const indexing = syntheticDataset(1000).index(() => abort.abort(), abort.signal);
  await assert.rejects(indexing, { code: 'interrupted' });
});

test('synthetic and synthetic:COUNT name drawn flowers, everything else a folder', async () => {
  assert.equal(parseSyntheticCount('synthetic'), 1200);
  assert.equal(parseSyntheticCount('synthetic:40'), 40);
  assert.equal(parseSyntheticCount('./synthetic'), null);
  assert.equal((await openDataset('synthetic:3').index()).samples.length, 3);
  await assert.rejects(openDataset('./synthetic-not-there').index(), { code: 'data-missing' });
});

test('a count that is none is refused with an example', () => {
  for (const data of [
    'synthetic:',
    'synthetic:0',
    'synthetic:-3',
    'synthetic:1e3',
    'synthetic:1000001',
    'synthetic:4 ',
  ]) {
    assert.throws(() => openDataset(data), { code: 'bad-option', message: /synthetic:1200/ }, data);
  }
});
