/** The neighbours' vote against the reference scores (test/parity/simsiam.json, T = 0.1). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fillNormal } from '../../../shared/core/draws.ts';
import { knnAccuracy, knnVote, normaliseRows, voteBySimilarity } from '../../../shared/core/knn.ts';

type Case = [rankings: number[][], scores: number[][]];
const fixture = JSON.parse(
  readFileSync(new URL('../../../../test/parity/simsiam.json', import.meta.url), 'utf8'),
) as { knn: { labels0123_k4: Case; labels0101_k2: Case } };

/** With one reference a class and k = 4, each score is exp(similarity / 0.1). */
const similarities = fixture.knn.labels0123_k4[1].map((row) => row.map((s) => 0.1 * Math.log(s)));

const cases: [name: string, expected: Case, labels: number[], k: number][] = [
  ['four classes, k = 4', fixture.knn.labels0123_k4, [0, 1, 2, 3], 4],
  ['two classes, k = 2', fixture.knn.labels0101_k2, [0, 1, 0, 1], 2],
];

for (const [name, [rankings, scores], labels, k] of cases) {
  test(`scores and ranking are the reference's: ${name}`, () => {
    similarities.forEach((row, query) => {
      const vote = voteBySimilarity(row, labels, k, 0.1, 4);
      assert.deepEqual(vote.ranking, rankings[query]);
      vote.scores.forEach((score, label) => {
        const expected = scores[query]![label]!;
        assert.ok(Math.abs(score - expected) <= 1e-12 * expected, `${score}, not ${expected}`);
      });
    });
  });
}

test('ties go to the reference and to the class that stand first', () => {
  const vote = voteBySimilarity([0.5, 0.5, 0.5], [2, 1, 1], 1, 0.1, 3);
  assert.deepEqual(vote.ranking, [2, 0, 1]);
  assert.deepEqual(voteBySimilarity([0.5, 0.5], [1, 0], 2, 0.1, 2).ranking, [0, 1]);
});

test('a temperature near 0 neither overflows nor underflows: the nearest decides', () => {
  for (const temperature of [1e-3, 1e-300, 5e-324]) {
    const near = voteBySimilarity([0.98, 0.99, 0.985], [1, 2, 0], 3, temperature, 3);
    assert.deepEqual(near.ranking, [2, 0, 1]);
    assert.ok(near.scores.every(Number.isFinite), `${near.scores}`);
    assert.deepEqual(
      voteBySimilarity([-0.99, -0.98], [0, 1], 2, temperature, 2).ranking,
      [1, 0],
      'all far away',
    );
  }
});

test('the k nearest are those of a full sort, k larger than the references too', () => {
  const row = new Float64Array(200);
  fillNormal(row, 0.3, 1, 'audit', 0);
  const order = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]!);
  for (const k of [1, 7, 200, 500]) {
    const { scores } = voteBySimilarity(row, Array.from(row.keys()), k, 0.07, 200);
    const voters = order.slice(0, k);
    assert.deepEqual(
      Array.from(scores.keys()).filter((i) => scores[i]! > 0),
      voters.sort((a, b) => a - b),
    );
  }
});

test('rows are compared by direction, not by length', () => {
  const features = Float32Array.of(10, 0, 0, 0.1, 3, 0.3, 0.2, 9);
  const task = { features, width: 2, labels: [0, 1, 0, 1], k: 1, temperature: 0.07 };
  const result = knnAccuracy({ ...task, queries: [2, 3], references: [0, 1] });
  assert.deepEqual(result.predictions, [0, 1]);
  assert.equal(result.accuracy, 1);
  assert.equal(result.standardError, 0);
});

test('accuracy counts right answers, with the error of a share', () => {
  const features = Float32Array.of(1, 0, 0, 1, 1, 0.1, 1, 0.2, 1, 0.3, 0.1, 1);
  const labels = [0, 1, 0, 0, 1, 1];
  const result = knnAccuracy({
    features,
    width: 2,
    labels,
    queries: [2, 3, 4, 5],
    references: [0, 1],
    k: 1,
    temperature: 0.07,
  });
  assert.equal(result.accuracy, 0.75);
  assert.equal(result.standardError, Math.sqrt((0.75 * 0.25) / 4));
  assert.deepEqual([result.queries, result.references], [4, 2]);
});

test('a query alone has the vote that it has among all; a row of zeros does no harm', () => {
  const features = new Float32Array(50 * 8);
  fillNormal(features, 1, 2, 'audit', 0);
  features.fill(0, 8, 16);
  const labels = Array.from({ length: 50 }, (_, i) => i % 3);
  const rows = labels.map((_, i) => i);
  const task = { features, width: 8, labels, references: rows.slice(10), k: 5, temperature: 0.07 };
  const all = knnAccuracy({ ...task, queries: rows.slice(0, 10) });
  const normalised = { ...task, features: normaliseRows(features, 8) };
  rows.slice(0, 10).forEach((row) => {
    const { scores, ranking } = knnVote(normalised, row);
    assert.equal(ranking[0], all.predictions[row]);
    assert.ok(scores.every(Number.isFinite));
  });
});
