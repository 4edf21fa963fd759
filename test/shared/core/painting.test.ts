/** The painter: coverage at edges, patches beyond the square, exact flat colours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { disc, hsv, painting, patch, stroke, toBytes } from '../../../shared/core/painting.ts';

const white = { base: [1, 1, 1], tip: [1, 1, 1], rim: 0 } as const;

test('a disc covers the area that geometry says, within one percent', () => {
  const onto = painting(64);
  patch(onto, disc, { origin: [31.7, 32.4], along: [20, 0], across: [0, 20] }, white);
  const covered = onto.rgb.reduce((sum, value) => sum + value, 0) / 3;
  assert.ok(Math.abs(covered / (Math.PI * 400) - 1) < 0.01, String(covered));
});

test('a turned patch covers as much as an upright one', () => {
  const onto = painting(64);
  patch(onto, disc, { origin: [32, 32], along: [12, 16], across: [-8, 6] }, white);
  const covered = onto.rgb.reduce((sum, value) => sum + value, 0) / 3;
  assert.ok(Math.abs(covered / (Math.PI * 200) - 1) < 0.02, String(covered));
});

test('patches and strokes outside the square or without width touch nothing', () => {
  const onto = painting(8);
  patch(onto, disc, { origin: [-30, 4], along: [5, 0], across: [0, 5] }, white);
  patch(onto, disc, { origin: [4, 4], along: [5, 0], across: [5, 0] }, white);
  stroke(
    onto,
    [
      [20, 20],
      [30, 20],
      [30, 30],
    ],
    2,
    white,
  );
  assert.ok(onto.rgb.every((value) => value === 0));
});

test('hues are the colours that their names say', () => {
  assert.deepEqual(hsv(0, 1, 1), [1, 0, 0]);
  assert.deepEqual(hsv(1 / 2, 1, 1), [0, 1, 1]);
  assert.deepEqual(hsv(1.25, 0, 0.5), [0.5, 0.5, 0.5]);
});

test('light beyond the range of a byte is cut', () => {
  const onto = painting(1);
  onto.rgb.set([-1, 0.5, 3]);
  assert.deepEqual([...toBytes(onto, 1)], [0, 128, 255]);
});
