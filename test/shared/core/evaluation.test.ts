/** The form of an evaluation: what is one, and what is not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { asEvaluation, classAccuracy, type Evaluation } from '../../../shared/core/evaluation.ts';

const evaluation: Evaluation = {
  version: 1,
  kind: 'knn',
  accuracy: 0.75,
  standardError: 0.2,
  seedError: 0,
  n: 4,
  perClass: [
    { label: 'rose', n: 2, accuracy: 1 },
    { label: 'tulip', n: 2, accuracy: 0.5 },
  ],
  confusion: [
    [2, 0],
    [1, 1],
  ],
  digest: 'd'.repeat(64),
  checkpoint: {
    run: '0001',
    step: 12,
    epoch: 1.5,
    digest: 'd'.repeat(64),
    model: 'resnet18',
    precision: 'f32',
    backbone: 'b'.repeat(64),
    calibrated: false,
  },
  data: {
    name: 'flowers',
    fingerprint: 'f'.repeat(64),
    images: 20,
    size: 64,
    split: 'held-out',
    share: 0.2,
    seed: 1,
    learned: 16,
    stoppedOn: 0,
  },
  protocol: { name: 'knn', k: 20, temperature: 0.07, standardised: false },
  probes: [],
  featureStd: 0.04,
  featureWidth: 512,
  features: 'e'.repeat(64),
  device: 'exact',
  time: '2026-11-24T00:00:00.000Z',
};

test('an evaluation is one after a trip through JSON', () => {
  assert.deepEqual(asEvaluation(JSON.parse(JSON.stringify(evaluation))), evaluation);
});

test('a class without images has no accuracy, in a file of before as well', () => {
  const perClass = [{ label: 'rose', n: 0, accuracy: null }];
  assert.ok(asEvaluation(JSON.parse(JSON.stringify({ ...evaluation, perClass }))));
  assert.equal(classAccuracy({ label: 'rose', n: 0, accuracy: 0 }), null);
  assert.equal(classAccuracy({ label: 'rose', n: 3, accuracy: 0 }), 0);
});

test('a classifier is a kind as well', () => {
  const found = asEvaluation({ ...evaluation, kind: 'classifier' });
  assert.equal(found?.kind, 'classifier');
  assert.equal(asEvaluation({ ...evaluation, kind: 'guess' }), null);
});

test('another version, a part of one and other JSON are none', () => {
  assert.equal(asEvaluation({ ...evaluation, version: 2 }), null);
  assert.equal(asEvaluation({ ...evaluation, accuracy: null }), null);
  assert.equal(asEvaluation({ ...evaluation, confusion: undefined }), null);
  for (const value of [null, 3, 'knn', [], {}]) assert.equal(asEvaluation(value), null);
});
