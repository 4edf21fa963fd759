/** The picture of a run: bounded, valid for any input, honest about extremes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { type LossPoint, lossPlot, plotPointsMax } from '../../../shared/core/loss-plot.ts';
import { downsampled } from '../../../shared/core/plotting.ts';

function points(count: number): LossPoint[] {
  return Array.from({ length: count }, (_, i) => ({
    step: i + 1,
    epoch: (i + 1) / 30,
    loss: -i / (i + 50) + (i % 7) * 0.01,
    std: (0.5 + (0.4 * i) / (i + 50)) / Math.sqrt(64),
    learningRate: 0.05,
  }));
}

const plot = { title: 'a run', outputWidth: 64, totalSteps: 1000 };

for (const count of [0, 1, 2, 61, 1000]) {
  test(`a run of ${count} steps gives a picture that renders at its size`, async () => {
    const svg = lossPlot({ ...plot, points: points(count), width: 700, height: 420 });
    const { width, height, format } = await sharp(Buffer.from(svg)).metadata();
    assert.deepEqual([width, height, format], [700, 420, 'svg']);
    await sharp(Buffer.from(svg)).raw().toBuffer();
  });
}

test('equal input gives equal bytes', () => {
  assert.equal(
    lossPlot({ ...plot, points: points(99) }),
    lossPlot({ ...plot, points: points(99) }),
  );
});

test('a title cannot add markup', () => {
  const svg = lossPlot({ ...plot, title: '<script>&"\u0000</script>', points: points(3) });
  assert.ok(!svg.includes('<script'));
  assert.ok(svg.includes('&lt;script&gt;&amp;&quot;&lt;/script&gt;'));
});

test('values that are not finite never reach the picture', () => {
  const broken = points(5).map((p, i) => ({
    ...p,
    loss: i === 2 ? Number.NaN : p.loss,
    std: i === 3 ? Infinity : p.std,
  }));
  assert.doesNotMatch(lossPlot({ ...plot, points: broken }), /NaN|Infinity/);
});

test('a collapsed, constant or single-step run has no NaN', () => {
  const flat = points(80).map((p) => ({ ...p, loss: -1, std: 0, epoch: 0 }));
  assert.doesNotMatch(lossPlot({ ...plot, points: flat }), /NaN|Infinity/);
  assert.doesNotMatch(
    lossPlot({ ...plot, points: flat.slice(0, 1), totalSteps: 1 }),
    /NaN|Infinity/,
  );
});

test('a long run keeps its extremes, its ends and its order in few points', () => {
  const spots = Array.from({ length: 50_000 }, (_, x) => ({
    x,
    y: x === 31_007 ? 9 : x === 777 ? -9 : (x % 13) / 13,
  }));
  const kept = downsampled(spots, plotPointsMax);
  assert.ok(kept.length <= plotPointsMax);
  assert.ok(kept.some(({ x, y }) => x === 31_007 && y === 9));
  assert.ok(kept.some(({ x, y }) => x === 777 && y === -9));
  assert.deepEqual([kept[0]!.x, kept.at(-1)!.x], [0, 49_999]);
  assert.ok(kept.every(({ x }, i) => i === 0 || x > kept[i - 1]!.x));
});

test('a million steps make a picture below 100 kB', () => {
  const svg = lossPlot({ ...plot, points: points(200_000), totalSteps: 1_000_000 });
  assert.ok(svg.length < 100_000, `${svg.length} bytes`);
});
