/** The picture of a confusion: a cell a pair, shades by row, names that cannot break out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confusionPlot } from '../../../shared/core/confusion-plot.ts';
import type { Evaluation } from '../../../shared/core/evaluation.ts';

const drawn = (labels: string[], confusion: number[][]) =>
  confusionPlot({
    perClass: labels.map((label) => ({ label, n: 1, accuracy: 0 })),
    confusion,
    accuracy: 0.5,
    kind: 'knn',
    checkpoint: { run: 'a & b', step: 3 },
  } as Evaluation);

test('a cell a pair, its shade the share of the row', () => {
  const confusion = [
    [3, 1],
    [0, 2],
  ];
  const svg = drawn(['rose', 'tulip'], confusion) ?? '';
  const shades = [...svg.matchAll(/fill-opacity="([\d.]+)"/g)].map((m) => Number(m[1]));
  assert.deepEqual(shades, [0.75, 0.25, 0, 1]);
  assert.equal(svg, drawn(['rose', 'tulip'], confusion), 'equal input, equal bytes');
});

test('names are text, and too many classes are no picture', () => {
  const svg = drawn(['<script>"', 'tulip'], [[], []]) ?? '';
  assert.ok(!svg.includes('<script'));
  assert.ok(svg.includes('a &#38; b'));
  const many = Array.from({ length: 61 }, (_, i) => String(i));
  assert.equal(drawn(many, []), null);
});
