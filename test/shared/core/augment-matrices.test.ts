/** Resize weights against Pillow's (test/parity/pillow-resize.json), and what they must keep. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { drawView } from '../../../shared/core/augment-draws.ts';
import {
  blurMatrix,
  centreInput,
  resizeMatrix,
  viewInput,
} from '../../../shared/core/augment-matrices.ts';

const pillow = JSON.parse(
  readFileSync(new URL('../../../../test/parity/pillow-resize.json', import.meta.url), 'utf8'),
) as { length: number; size: number; rows: number[][] }[];

const method = {
  size: 8,
  canvas: 24,
  augmentation: {
    cropScale: [0.2, 1] as [number, number],
    cropRatio: [3 / 4, 4 / 3] as [number, number],
    flipProbability: 0.5,
    jitterProbability: 0.8,
    brightness: 0.4,
    contrast: 0.4,
    saturation: 0.4,
    hue: 0.1,
    grayProbability: 0.2,
    blurProbability: 0.5,
    blurSigma: [0.1, 2] as [number, number],
  },
};

/** The rows of a [rows, columns] matrix at `offset`. */
function matrix(flat: Float32Array, rows: number, columns: number, offset = 0): number[][] {
  return Array.from({ length: rows }, (_, i) =>
    Array.from(flat.subarray(offset + i * columns, offset + (i + 1) * columns)),
  );
}

function resize(
  size: number,
  canvas: number,
  start: number,
  length: number,
  flip = false,
): number[][] {
  const out = new Float32Array(size * canvas).fill(9);
  resizeMatrix(out, 0, size, canvas, start, length, canvas, flip);
  return matrix(out, size, canvas);
}

for (const { length, size, rows } of pillow) {
  test(`resizing ${length} pixels to ${size} uses Pillow's antialiased weights`, () => {
    resize(size, length, 0, length).forEach((row, i) => {
      row.forEach((weight, x) => {
        assert.ok(Math.abs(weight - rows[i]![x]!) < 1e-6, `row ${i}, pixel ${x}: ${weight}`);
      });
    });
  });
}

test('every row sums to 1 and takes nothing from outside the crop', () => {
  for (const [start, length] of [
    [0, 24],
    [3, 17],
    [23, 1],
    [5, 2],
    [10, 8],
  ] as const) {
    for (const row of resize(8, 24, start, length)) {
      assert.ok(Math.abs(row.reduce((sum, x) => sum + x, 0) - 1) < 1e-6);
      row.forEach((weight, x) => {
        assert.ok(weight >= 0);
        if (x < start || x >= start + length) assert.equal(weight, 0);
      });
    }
  }
});

test('a crop of the size of the view is copied; a flip turns the rows round', () => {
  resize(8, 24, 5, 8).forEach((row, i) => {
    assert.deepEqual(
      row,
      Array.from({ length: 24 }, (_, x) => (x === 5 + i ? 1 : 0)),
    );
  });
  assert.deepEqual(resize(8, 24, 2, 19, true), resize(8, 24, 2, 19).reverse());
});

test('a matrix is written at its offset and nowhere else', () => {
  const out = new Float32Array(3 * 8 * 24).fill(9);
  resizeMatrix(out, 8 * 24, 8, 24, 2, 19, 24, false);
  assert.deepEqual(matrix(out, 8, 24, 8 * 24), resize(8, 24, 2, 19));
  assert.ok(out.subarray(0, 192).every((x) => x === 9) && out.subarray(384).every((x) => x === 9));
  const blurs = new Float32Array(3 * 64).fill(9);
  blurMatrix(blurs, 64, 8, 1);
  assert.ok(
    blurs.subarray(0, 64).every((x) => x === 9) && blurs.subarray(128).every((x) => x === 9),
  );
});

test('a crop that leaves its image is refused', () => {
  const out = new Float32Array(8 * 24);
  assert.throws(() => resizeMatrix(out, 0, 8, 24, 10, 8, 17, false), RangeError);
  assert.throws(() => resizeMatrix(out, 0, 8, 24, -1, 8, 17, false), RangeError);
  assert.throws(() => resizeMatrix(out, 0, 8, 24, 0, 0, 17, false), RangeError);
  assert.throws(() => resizeMatrix(out, 0, 8, 24, 0, 8, 25, false), RangeError);
});

test('the blur is a Gaussian: rows sum to 1, the deviation is sigma, 0 changes nothing', () => {
  const size = 33;
  for (const sigma of [0.1, 0.5, 1, 2]) {
    const out = new Float32Array(size * size);
    blurMatrix(out, 0, size, sigma);
    const rows = matrix(out, size, size);
    for (const row of rows) assert.ok(Math.abs(row.reduce((sum, x) => sum + x, 0) - 1) < 1e-6);
    const middle = rows[16]!;
    const expected = Array.from(middle, (_, x) => Math.exp(-((x - 16) ** 2) / (2 * sigma ** 2)));
    const total = expected.reduce((sum, x) => sum + x, 0);
    middle.forEach((weight, x) => {
      assert.ok(Math.abs(weight - expected[x]! / total) < 1e-4);
    });
    if (sigma < 1) continue;
    const variance = middle.reduce((sum, weight, x) => sum + weight * (x - 16) ** 2, 0);
    assert.ok(Math.abs(Math.sqrt(variance) / sigma - 1) < 0.005, `sigma ${sigma}: ${variance}`);
  }
  const none = new Float32Array(9);
  blurMatrix(none, 0, 3, 0);
  assert.deepEqual([...none], [1, 0, 0, 0, 1, 0, 0, 0, 1]);
});

test('at a border the edge pixel is repeated, so the edge weighs more', () => {
  const out = new Float32Array(64);
  blurMatrix(out, 0, 8, 2);
  const rows = matrix(out, 8, 8);
  assert.ok(rows[0]![0]! > 0.55 && rows[0]![0]! < 0.65);
  assert.ok(rows[0]![1]! < rows[0]![0]!);
});

test('a batch holds, slot by slot, the matrices and colours of its draws', () => {
  const images = [
    { height: 24, width: 20 },
    { height: 9, width: 24 },
    { height: 1, width: 1 },
  ];
  const draws = images.map((image, i) => drawView(method.augmentation, 3, i, 2, image));
  const input = viewInput(method, images, draws);
  assert.deepEqual(
    [input.rows, input.columns, input.colour, input.blur!.rows, input.blur!.columns].map(
      (values) => values.length,
    ),
    [3 * 8 * 24, 3 * 8 * 24, 3 * 5, 3 * 64, 3 * 64],
  );
  draws.forEach((draw, i) => {
    const { crop } = draw;
    assert.deepEqual(matrix(input.rows, 8, 24, i * 192), resize(8, 24, crop.top, crop.height));
    const columns = resize(8, 24, crop.left, crop.width, draw.flip);
    assert.deepEqual(matrix(input.columns, 8, 24, i * 192), columns);
    const blur = new Float32Array(64);
    blurMatrix(blur, 0, 8, draw.sigma);
    assert.deepEqual(input.blur!.rows.subarray(i * 64, (i + 1) * 64), blur);
    assert.deepEqual(input.blur!.columns.subarray(i * 64, (i + 1) * 64), blur);
    const colour = [draw.brightness, draw.contrast, draw.saturation, draw.hue, draw.gray ? 1 : 0];
    assert.deepEqual([...input.colour.subarray(i * 5, i * 5 + 5)], colour.map(Math.fround));
  });
  assert.throws(() => viewInput(method, images, draws.slice(1)), RangeError);
});

test('a method without blur has no blur matrices', () => {
  const plain = { ...method, augmentation: { ...method.augmentation, blurProbability: 0 } };
  const image = { height: 24, width: 24 };
  const draws = [drawView(plain.augmentation, 3, 0, 1, image)];
  assert.equal(viewInput(plain, [image], draws).blur, null);
});

test('the evaluation view is the centred square, unflipped, in its own colours', () => {
  const input = centreInput(method, [{ height: 12, width: 20 }]);
  assert.deepEqual(matrix(input.rows, 8, 24), resize(8, 24, 0, 12));
  assert.deepEqual(matrix(input.columns, 8, 24), resize(8, 24, 4, 12));
  assert.deepEqual([...input.colour], [1, 1, 1, 0, 0]);
  assert.equal(input.blur, null);
});
