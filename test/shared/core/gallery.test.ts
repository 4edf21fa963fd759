/** Nearest rows, against sorting all of them; places spread over a list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestRows, spreadOver } from '../../../shared/core/gallery.ts';
import { normaliseRows } from '../../../shared/core/knn.ts';

test('the nearest rows are those of greatest cosine, without the one that asks', () => {
  const width = 3;
  const count = 40;
  const rows = normaliseRows(
    Float32Array.from({ length: count * width }, (_, i) => Math.sin(i * i + 1)),
    width,
  );
  // Two equal rows: the first comes first.
  rows.copyWithin(7 * width, 5 * width, 6 * width);
  const searched = Array.from({ length: count }, (_, i) => i).filter((i) => i !== 3);
  for (const query of [0, 5, 39]) {
    const similarity = (row: number): number =>
      [0, 1, 2].reduce((sum, j) => sum + rows[query * width + j]! * rows[row * width + j]!, 0);
    const wanted = searched
      .filter((row) => row !== query)
      .sort((a, b) => similarity(b) - similarity(a) || a - b)
      .slice(0, 6);
    const found = nearestRows(rows, width, query, searched, 6);
    assert.deepEqual(
      found.map(({ row }) => row),
      wanted,
    );
    assert.ok(found.every(({ row, similarity: s }) => Math.abs(s - similarity(row)) < 1e-12));
  }
  assert.equal(nearestRows(rows, width, 0, [0, 1], 6).length, 1);
});

test('places are spread evenly, ascending, each once', () => {
  assert.deepEqual(spreadOver(10, 4), [0, 2, 5, 7]);
  assert.deepEqual(spreadOver(3, 9), [0, 1, 2]);
  assert.deepEqual(spreadOver(0, 9), []);
  assert.equal(new Set(spreadOver(4001, 2000)).size, 2000);
});
