/** Drawn flowers: a function of seed and index, classes told by shape and not by colour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syntheticImage } from '../../../shared/core/synthetic.ts';
import { syntheticClasses } from '../../../shared/core/synthetic-flower.ts';

test('the same seed and index draw the same pixels, another index or seed others', () => {
  const { pixels } = syntheticImage(1, 5);
  assert.deepEqual(syntheticImage(1, 5).pixels, pixels);
  assert.notDeepEqual(syntheticImage(1, 13).pixels, pixels);
  assert.notDeepEqual(syntheticImage(2, 5).pixels, pixels);
});

test('every class has as many flowers as any other', () => {
  const labels = Array.from(
    { length: 16 },
    (_, index) => syntheticImage(1, index, { size: 16 }).label,
  );
  for (const name of syntheticClasses) {
    assert.equal(labels.filter((label) => label === name).length, 2, name);
  }
});

test('an image has its size and uses the range of a byte', () => {
  const { width, height, pixels } = syntheticImage(1, 0, { size: 40 });
  assert.deepEqual([width, height, pixels.length], [40, 40, 4800]);
  const { pixels: large } = syntheticImage(1, 6);
  assert.ok(Math.max(...large) - Math.min(...large) > 100);
});

test('the colour of the flower does not give its class away', () => {
  // Nearest class mean of the middle's mean colour: with eight classes chance is 0.125.
  const colours = Array.from({ length: 640 }, (_, index) => middleColour(index));
  const means = syntheticClasses.map((_, label) => {
    const mine = colours.slice(0, 320).filter((_, index) => index % 8 === label);
    return [0, 1, 2].map((c) => mine.reduce((sum, colour) => sum + colour[c]!, 0) / mine.length);
  });
  const hits = colours.slice(320).filter((colour, i) => {
    const distances = means.map((mean) =>
      mean.reduce((sum, m, c) => sum + (m - colour[c]!) ** 2, 0),
    );
    return distances.indexOf(Math.min(...distances)) === i % 8;
  });
  assert.ok(hits.length / 320 < 0.25, `${hits.length} of 320 by colour`);
});

/** Mean colour of the middle quarter of an image. */
function middleColour(index: number): number[] {
  const { pixels } = syntheticImage(1, index, { size: 32 });
  const sums = [0, 0, 0];
  for (let y = 8; y < 24; y++) {
    for (let x = 8; x < 24; x++) {
      for (let c = 0; c < 3; c++) sums[c]! += pixels[(y * 32 + x) * 3 + c]! / 256;
    }
  }
  return sums;
}
