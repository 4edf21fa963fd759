/**
 * The benchmark's arithmetic (medians, intervals, operations of a step), its arguments, and one tiny
 * real measurement of our side.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  caseName,
  chooseCases,
  computeCases,
  stepFlops,
  trainCases,
} from '../../cli/bench/cases.ts';
import { caseResult, resultTable } from '../../cli/bench/report.ts';
import {
  median,
  medianInterval,
  pairedRatios,
  quantile,
  slope,
} from '../../cli/bench/statistics.ts';
import type { Io } from '../../cli/io.ts';
import { run } from '../../cli/main.ts';
import { skipReason } from '../worker/compute/tiny.ts';

function collect(): Io & { out: string[]; err: string[] } {
  const out: string[] = [];
  const err: string[] = [];
  return {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env: process.env,
    out,
    err,
  };
}

test('a median is the middle value, or between the two middle ones', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
  assert.throws(() => median([]), RangeError);
});

test('a quantile is the value of that rank', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.equal(quantile(values, 0.99), 99);
  assert.equal(quantile(values, 1), 100);
  assert.equal(quantile([5], 0.5), 5);
});

test('the interval of a median is that of the binomial table', () => {
  // n → [rank from below, coverage], from the usual tables of the sign test.
  const table: [n: number, rank: number, coverage: number][] = [
    [5, 1, 0.9375],
    [6, 1, 0.96875],
    [8, 1, 0.9921875],
    [9, 2, 0.9609375],
    [15, 4, 0.96484375],
    [20, 6, 0.9586105346679688],
    [25, 8, 0.9567147493362427],
  ];
  for (const [n, rank, coverage] of table) {
    const values = Array.from({ length: n }, (_, i) => i + 1).reverse();
    const found = medianInterval(values);
    assert.deepEqual([found.low, found.high], [rank, n + 1 - rank], `${n} values`);
    assert.ok(Math.abs(found.coverage - coverage) < 1e-12, `${n} values: ${found.coverage}`);
  }
  assert.deepEqual(medianInterval([3]), { low: 3, high: 3, coverage: 0 });
});

test('a slope is found under noise and steps that a mean would follow', () => {
  const noise = (i: number) => ((i * 7919) % 13) - 6;
  const rising = slope(Array.from({ length: 500 }, (_, i) => 3 * i + noise(i)));
  assert.ok(rising && Math.abs(rising.slope - 3) < 0.05);
  assert.ok(rising.interval.low > 2.9 && rising.interval.high < 3.1);
  const flat = slope(Array.from({ length: 500 }, (_, i) => (i === 250 ? 1e6 : noise(i))));
  assert.ok(flat && flat.interval.low <= 0 && flat.interval.high >= 0, JSON.stringify(flat));
  assert.equal(slope([1, 2, 3, 4, 5, 6, 7]), null);
});

test('ratios are taken within a round', () => {
  assert.deepEqual(pairedRatios([2, 9], [1, 3]), [2, 3]);
  assert.deepEqual(pairedRatios([], [1, 3]), []);
});

test('above 1 is better than the peer, for times and for rates', () => {
  const [one] = computeCases;
  assert.ok(one);
  const common = { tandem: [10], peer: [20], eager: [], memory: { tandem: 5, peer: 10 } };
  const times = caseResult(one, { ...common, unit: 'ms' });
  assert.deepEqual([times.ratio, times.memoryRatio], [2, 2]);
  assert.equal(caseResult(one, { ...common, unit: 'img/s' }).ratio, 0.5);
  assert.match(resultTable([times]), /resnet18-cifar 32px batch 64 +f32 +10 +20 +2\.000/);
});

test('without a peer there is nothing to compare', () => {
  const [one] = computeCases;
  assert.ok(one);
  const memory = { tandem: 5, peer: null };
  const alone = caseResult(one, { unit: 'ms', tandem: [10], peer: [], eager: [], memory });
  assert.deepEqual(
    [alone.peer, alone.ratio, alone.interval, alone.memoryRatio],
    [null, null, null, null],
  );
});

test('the operations of a step are those of the published counts', () => {
  // Multiplications of one forward pass at 224 px: 1.814e9 (ResNet-18), 4.089e9 (ResNet-50, v1.5),
  // of which the classifier, which is not here, has a thousand times the features' width.
  for (const [model, published, first] of [
    ['resnet18', 1.814e9 - 512e3, 118e6],
    ['resnet50', 4.089e9 - 2048e3, 118e6],
  ] as const) {
    const flops = stepFlops({ model, size: 224, batch: 1, precision: 'f32' });
    const heads = model === 'resnet50' ? 3 * 2048 * 2048 : 2 * 512 * 512 + 512 * 2048;
    const predictor = 2 * 2048 * 512;
    const wanted = 2 * 2 * (3 * (published + heads + predictor) - first);
    assert.ok(Math.abs(flops / wanted - 1) < 0.002, `${model}: ${flops} for ${wanted}`);
  }
});

test('cases are chosen by words, alternatives and names of their own', () => {
  const names = (filter?: string) =>
    chooseCases(computeCases, filter).map((one) => `${caseName(one)} ${one.precision}`);
  assert.equal(names().length, 6);
  assert.deepEqual(names('resnet50 bf16'), ['resnet50 96px batch 32 bf16']);
  assert.equal(names('resnet18').length, 2, 'a word is a whole word');
  assert.equal(names('resnet50,resnet18-cifar f32').length, 3);
  assert.deepEqual(names('resnet18-cifar:8:4:bf16'), ['resnet18-cifar 8px batch 4 bf16']);
  assert.equal(chooseCases(trainCases, '64').length, 2);
});

for (const [argv, message] of [
  [['compute', '--rounds', '0'], '--rounds expects a whole number from 1'],
  [['compute', '--rounds', 'x'], '--rounds expects a whole number from 1'],
  [['compute', '--cases', 'resnet99'], '--cases "resnet99" fits none of: "resnet18-cifar 32px'],
  [['compute', '--cases', 'resnet18:8:4:f32'], '--cases expects MODEL:SIZE:BATCH:PRECISION'],
  [['compute', '--cases', 'resnet18-cifar:8:1'], '--cases expects MODEL:SIZE:BATCH:PRECISION'],
  [['compute', '--peer', 'no-such-python'], '--peer expects a Python that has torch'],
  [['compute', 'fast'], 'unexpected "fast"'],
  [['compute', '--jsn'], 'unknown option "--jsn". Did you mean "--json"?'],
  [['train', '--cases', 'resnet18-cifar:8:5:f32'], 'two workers need an even batch, not 5'],
  [['trian'], 'unknown command "trian"'],
] as const) {
  test(`tandem bench ${argv.join(' ')} is refused`, async () => {
    const io = collect();
    assert.equal(await run(['bench', ...argv], io), 64);
    assert.ok(io.err.join('').includes(message), io.err.join(''));
    assert.deepEqual(io.out, []);
  });
}

test('a tiny case is measured', { skip: skipReason('tensorflow'), timeout: 120_000 }, async () => {
  const io = collect();
  const argv = 'bench compute --cases resnet18-cifar:8:4:f32 --rounds 2 --json'.split(' ');
  assert.equal(await run(argv, io), 0, io.err.join(''));
  assert.equal(io.out.length, 1);
  const { machine, cases } = JSON.parse(io.out[0] ?? '');
  assert.ok(machine.cores >= 1);
  assert.equal(cases.length, 1);
  const [one] = cases;
  assert.equal(one.name, 'resnet18-cifar 8px batch 4');
  assert.equal(one.precision, 'f32');
  assert.equal(one.rounds, 2);
  assert.ok(one.tandem > 0 && one.eager > 0 && one.memory.tandem > 1e8, JSON.stringify(one));
  assert.ok(one.details.gradient < one.tandem, 'the update is part of the step');
  assert.deepEqual([one.peer, one.ratio, one.memoryRatio], [null, null, null]);
});
