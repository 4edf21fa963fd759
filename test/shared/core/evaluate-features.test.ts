/** Figures of an evaluation: counts that add up, errors of the right kind, and the same twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  counted,
  measureKnn,
  measureLinear,
  type Measured,
  type MeasureProgress,
} from '../../../shared/core/evaluate-features.ts';
import type { LinearProtocol } from '../../../shared/core/evaluation.ts';
import { Failure } from '../../../shared/core/failures.ts';
import { featureStd } from '../../../shared/core/feature-statistics.ts';
import { labelled } from '../../../shared/core/labels.ts';
import { linearProtocols } from '../../../shared/core/probe.ts';
import { fillUniform } from '../../../shared/core/draws.ts';

const n = 120;
const width = 12;
const names = ['a', 'b', 'c'];
const of = Array.from({ length: n }, (_, i) => i % 3);

/** Drawn features; each class has a channel of its own that is larger. */
function drawn(apart: number): Float32Array {
  const features = new Float32Array(n * width);
  fillUniform(features, 3, 'canary', 9, 0);
  for (let i = 0; i < n; i += 1) features[i * width + (of[i] ?? 0)]! += apart;
  return features;
}

const places = Array.from({ length: n }, (_, i) => i);
const split = {
  learned: places.slice(0, 90),
  stopped: places.slice(90),
  measured: places.slice(90),
};
const task = (apart: number) => ({
  ...{ features: drawn(apart), width, split },
  labels: { names, of },
});
const linear: LinearProtocol = {
  ...{ ...linearProtocols['simsiam-tf'], name: 'simsiam-tf', standardised: false },
  learningRate: 0.01,
};

function ended(steps: Generator<MeasureProgress, Measured>): Measured {
  for (;;) {
    const turn = steps.next();
    if (turn.done === true) return turn.value;
  }
}

test('a probe tells classes apart that differ, and does no better than chance where none do', () => {
  const easy = ended(measureLinear(task(3), linear, [1, 2]));
  assert.equal(easy.accuracy, 1);
  assert.equal(easy.standardError, 0);
  const mute = { ...task(0), features: new Float32Array(n * width).fill(0.5) };
  const blind = ended(measureLinear(mute, linear, [1]));
  assert.ok(blind.accuracy < 0.5);
});

test('seeds give probes of their own, the same ones again, and what they say adds up', () => {
  const first = ended(measureLinear(task(0.1), linear, [1, 2, 3]));
  assert.deepEqual(ended(measureLinear(task(0.1), linear, [1, 2, 3])), first);
  assert.equal(new Set(first.probes.map((probe) => probe.loss)).size, 3);
  const [mean] = [first.probes.reduce((sum, probe) => sum + probe.accuracy, 0) / 3];
  assert.ok(Math.abs(first.accuracy - mean) < 1e-12);
  assert.equal(
    first.confusion.flat().reduce((a, b) => a + b),
    3 * first.n,
  );
  assert.equal(
    first.perClass.reduce((sum, one) => sum + one.n, 0),
    first.n,
  );
});

test('kNN needs no seed, and standardised features are another measure', () => {
  const knn = { name: 'knn', k: 5, temperature: 0.07, standardised: false } as const;
  const plain = ended(measureKnn(task(0.2), knn));
  assert.deepEqual(plain.probes, []);
  assert.deepEqual(ended(measureKnn(task(0.2), knn)), plain);
  const scaled = ended(measureKnn(task(0.2), { ...knn, standardised: true }));
  assert.notDeepEqual(scaled.confusion, plain.confusion);
});

test('the error of a share is binomial, that of the seeds is theirs', () => {
  const answers = [
    [0, 1, 2, 0],
    [0, 0, 2, 0],
  ];
  const found = counted({ names, of }, [0, 1, 2, 3], answers);
  assert.equal(found.accuracy, 0.875);
  assert.equal(found.standardError, Math.sqrt((0.875 * 0.125) / 4));
  assert.equal(found.seedError, 0.125);
  assert.deepEqual(found.confusion, [
    [4, 0, 0],
    [1, 1, 0],
    [0, 0, 2],
  ]);
  assert.deepEqual(
    found.perClass.map(({ accuracy }) => accuracy),
    [1, 0.5, 1],
  );
});

test('a probe that diverges is told with its learning rate, and features that are none as such', () => {
  const failure = (words: RegExp) => (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.code, 'diverged');
    assert.match(error.message, words);
    return true;
  };
  const paper: LinearProtocol = { ...linearProtocols.paper, name: 'paper', standardised: false };
  // The most that the options take; LARS multiplies the weights by it until they overflow.
  const steep = { ...paper, learningRate: 1000, batch: 65_536, epochs: 400 };
  assert.throws(
    () => ended(measureLinear(task(0), steep, [1])),
    failure(/diverged in epoch \d+: with a learning rate of 1000 .*Use a lower --learning-rate$/),
  );
  const broken = drawn(1);
  broken[5] = Number.NaN;
  assert.throws(
    () => ended(measureLinear({ ...task(1), features: broken }, linear, [1])),
    failure(/features hold numbers that are not finite.*earlier --checkpoint/),
  );
});

test('a class without a measured image has no accuracy', () => {
  const found = counted({ names, of }, [0, 1, 3], [[0, 1, 1]]);
  assert.deepEqual(
    found.perClass.map(({ n: measured, accuracy }) => [measured, accuracy]),
    [
      [2, 0.5],
      [1, 1],
      [0, null],
    ],
  );
});

test('std is 0 where features are the same and near 1/√width where they are spread', () => {
  assert.equal(featureStd(new Float32Array(50).fill(2), 5), 0);
  assert.equal(featureStd(Float32Array.of(1, 2), 2), 0, 'one row says nothing');
  const spread = featureStd(
    drawn(0).map((value) => value - 0.5),
    width,
  );
  assert.ok(Math.abs(spread * Math.sqrt(width) - 1) < 0.1);
});

test('labels are numbers in the order of names, or none', () => {
  assert.deepEqual(labelled([{ label: 'rose' }, { label: 'aster' }, { label: 'rose' }]), {
    names: ['aster', 'rose'],
    of: [1, 0, 1],
  });
  assert.equal(labelled([{ label: 'rose' }, { label: 'rose' }]), null);
  assert.equal(labelled([{ label: 'rose' }, { label: 'aster' }, { label: null }]), null);
});
