/** Learning rates against facebookresearch/simsiam's (test/parity/simsiam.json). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { learningRates } from '../../../shared/core/schedule.ts';

const fixture = JSON.parse(
  readFileSync(new URL('../../../../test/parity/simsiam.json', import.meta.url), 'utf8'),
) as { fb_lr_bs512_100ep: { init: number; epochs: Record<string, number>; predictor: number } };

const stepsPerEpoch = 7;
const method = {
  learningRate: 0.05,
  batch: 512,
  warmupSteps: 0,
  totalSteps: 100 * stepsPerEpoch,
};

test('at epoch boundaries the cosine is the reference schedule', () => {
  const { epochs, predictor } = fixture.fb_lr_bs512_100ep;
  for (const [epoch, expected] of Object.entries(epochs)) {
    const rates = learningRates(method, Number(epoch) * stepsPerEpoch);
    // Half a unit of the last place of f32, twice: the peak and the product are rounded.
    assert.ok(
      Math.abs(rates.base - expected) <= 1.3e-7 * expected,
      `epoch ${epoch}: ${rates.base}`,
    );
    assert.equal(rates.predictor, Math.fround(predictor));
  }
});

test('rates are f32 values that fall at every step and end at 0', () => {
  let last = Infinity;
  for (let step = 0; step < method.totalSteps; step += 1) {
    const { base } = learningRates(method, step);
    assert.equal(base, Math.fround(base));
    assert.ok(base < last && base > 0);
    last = base;
  }
  assert.equal(learningRates(method, method.totalSteps).base, 0);
});

test('warm-up climbs in equal parts to the peak, where the cosine begins', () => {
  const warm = { ...method, warmupSteps: 10, totalSteps: 110 };
  const peak = Math.fround(0.1);
  assert.equal(learningRates(warm, 0).base, Math.fround(peak / 10));
  assert.equal(learningRates(warm, 9).base, peak);
  assert.equal(learningRates(warm, 10).base, peak);
  assert.ok(Math.abs(learningRates(warm, 60).base - peak / 2) < 1e-8);
  assert.equal(learningRates(warm, 0).predictor, peak);
});
