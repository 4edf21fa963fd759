/**
 * Probes, kNN votes and std of features against PyTorch and numpy on the same numbers.
 *
 * The fixture holds everything that goes in, first weights and orders of epochs included;
 * probe_torch.py made it. Both sides are f64, so what is left is the order of additions.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { LinearProtocol } from '../../shared/core/evaluation.ts';
import { measureKnn, type Measured } from '../../shared/core/evaluate-features.ts';
import { featureStd, standardise } from '../../shared/core/feature-statistics.ts';
import { knnVote, normaliseRows } from '../../shared/core/knn.ts';
import { trainProbe } from '../../shared/core/probe.ts';
import { predictRows, type ProbeTask } from '../../shared/core/probe-layer.ts';

interface Fixture {
  width: number;
  classes: number;
  features: number[][];
  labels: number[];
  learned: number[];
  stopped: number[];
  measured: number[];
  std: number;
  standardised: number[][];
  probes: {
    protocol: LinearProtocol;
    first: number[][];
    orders: number[][];
    losses: number[];
    kept: number;
    weights: number[][];
    bias: number[];
    predictions: number[];
    accuracy: number;
  }[];
  knn: {
    k: number;
    temperature: number;
    scores: number[][];
    predictions: number[];
    accuracy: number;
  }[];
}

const file = new URL('../../../test/parity/probe-torch.json', import.meta.url);
const fixture = JSON.parse(readFileSync(file, 'utf8')) as Fixture;
const { width, classes, labels, learned, stopped, measured } = fixture;
const features = Float32Array.from(fixture.features.flat());
const task: ProbeTask = { features, width, labels, classes, learned, stopped };
const names = Array.from({ length: classes }, (_, i) => `class ${i}`);
const measurable = {
  features,
  width,
  labels: { names, of: labels },
  split: { learned, stopped, measured },
};

function near(found: ArrayLike<number>, expected: readonly number[], most: number, what: string) {
  assert.equal(found.length, expected.length, what);
  for (const [i, value] of expected.entries()) {
    const apart = Math.abs((found[i] ?? Number.NaN) - value);
    assert.ok(apart <= most * Math.max(1, Math.abs(value)), `${what} ${i}: ${apart}`);
  }
}

describe('probes equal torch.nn.Linear with torch.optim', () => {
  for (const probe of fixture.probes) {
    const { protocol } = probe;
    test(`${protocol.name}, ${protocol.epochs} epochs, batch ${protocol.batch}`, () => {
      const training = trainProbe(task, protocol, {
        dense: {
          weights: Float64Array.from(probe.first.flat()),
          bias: new Float64Array(classes),
        },
        order: (epoch) => (i) => probe.orders[epoch]?.[i] ?? Number.NaN,
      });
      const losses: number[] = [];
      let turn = training.next();
      for (; turn.done !== true; turn = training.next()) losses.push(turn.value.loss);
      const { dense, kept } = turn.value;
      near(losses, probe.losses, 1e-11, 'loss of epoch');
      assert.equal(kept, probe.kept);
      near(dense.weights, probe.weights.flat(), 1e-9, 'weight');
      near(dense.bias, probe.bias, 1e-9, 'bias');
      const predicted = predictRows(task, dense, measured);
      assert.deepEqual(predicted, probe.predictions);
      const right = measured.filter((row, i) => labels[row] === predicted[i]).length;
      assert.equal(right / measured.length, probe.accuracy);
    });
  }

  test('one of them stops early, with an epoch before its last kept', () => {
    const stops = fixture.probes.filter(({ protocol, losses, kept }) => {
      return losses.length < protocol.epochs && kept === losses.length - (protocol.patience ?? 0);
    });
    assert.ok(stops.length > 0);
  });
});

describe('votes equal torch’s', () => {
  for (const { k, temperature, scores, predictions, accuracy } of fixture.knn) {
    test(`k = ${k}, T = ${temperature}`, () => {
      const rows = { features: normaliseRows(features, width), width, labels };
      for (const [i, query] of measured.entries()) {
        const vote = knnVote({ ...rows, references: learned, k, temperature }, query, classes);
        // Rows are normalised in f32 here.
        near(vote.scores, scores[i] ?? [], 2e-6, `scores of query ${i}`);
      }
      const steps = measureKnn(measurable, { name: 'knn', k, temperature, standardised: false });
      let turn = steps.next();
      while (turn.done !== true) turn = steps.next();
      const result: Measured = turn.value;
      assert.equal(result.accuracy, accuracy);
      const counts = names.map((_, truth) =>
        names.map(
          (_, guess) =>
            measured.filter((row, i) => labels[row] === truth && predictions[i] === guess).length,
        ),
      );
      assert.deepEqual(result.confusion, counts);
    });
  }
});

test('std of x/‖x‖ and standardised features equal torch’s', () => {
  near([featureStd(features, width)], [fixture.std], 1e-6, 'std');
  near(standardise(features, width, learned), fixture.standardised.flat(), 1e-6, 'feature');
});
