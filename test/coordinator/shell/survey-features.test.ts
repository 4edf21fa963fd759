/** The k-nearest-neighbour measure: who asks, who is asked, and what comes out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureKnn, splitOf } from '../../../coordinator/shell/survey-features.ts';
import { labelsOf } from '../../../shared/core/labels.ts';
import { permute } from '../../../shared/core/permutation.ts';
import type { Sample } from '../../../shared/core/sample.ts';

const samplesWith = (labels: (string | null)[]): Sample[] =>
  labels.map((label, index) => ({ index, path: `${index}.png`, sha256: '', bytes: 1, label }));

test('the queries are the last 15 % of the permutation of epoch 0, the references the rest', () => {
  for (const [seed, count] of [
    [0, 100],
    [7, 3669],
    [7, 7],
  ] as const) {
    const { queries, references } = splitOf(seed, count);
    const order = Array.from({ length: count }, (_, i) => permute(seed, 0, count, i));
    assert.deepEqual([...references, ...queries], order);
    assert.equal(queries.length, Math.max(1, Math.floor(0.15 * count)));
  }
});

test('the split is a function of the seed', () => {
  assert.deepEqual(splitOf(3, 50), splitOf(3, 50));
  assert.notDeepEqual(splitOf(3, 50).queries, splitOf(4, 50).queries);
});

test('labels are numbers by name, and there are none where a sample has none or all have one', () => {
  assert.deepEqual(labelsOf(samplesWith(['b', 'a', 'b', 'c'])), [1, 0, 1, 2]);
  assert.equal(labelsOf(samplesWith(['a', null])), null);
  assert.equal(labelsOf(samplesWith(['a', 'a'])), null);
  assert.equal(labelsOf([]), null);
});

test('features that tell the classes apart give 1, and the measure knows its own error', async () => {
  const labels = Array.from({ length: 200 }, (_, i) => i % 2);
  const features = Float32Array.from({ length: 400 }, (_, i) => {
    const label = (i >> 1) % 2;
    return i % 2 === label ? 1 : 0.01 * (i % 7);
  });
  const good = await measureKnn(features, 2, labels, 1);
  assert.equal(good.accuracy, 1);
  assert.deepEqual([good.queries, good.references], [30, 170]);

  const noise = Float32Array.from({ length: 400 }, (_, i) => ((i * 7919) % 101) / 101);
  const bad = await measureKnn(noise, 2, labels, 1);
  assert.ok(bad.accuracy < 0.9);
  const { accuracy, queries } = bad;
  assert.ok(
    Math.abs(bad.standardError - Math.sqrt((accuracy * (1 - accuracy)) / queries)) < 1e-12,
    `${bad.standardError}`,
  );
});

test('fewer references than neighbours are enough', async () => {
  const features = Float32Array.of(1, 0, 1, 0.1, 0, 1, 0.1, 1);
  const result = await measureKnn(features, 2, [0, 0, 1, 1], 3);
  assert.deepEqual([result.queries, result.references], [1, 3]);
});
