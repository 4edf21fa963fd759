/** What workers are sent of the weights: in bf16 rounded once, while all else is as in f32. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { arithmetic, inLine, type Slot } from '../../../coordinator/shell/arithmetic.ts';
import { inThread } from '../../../coordinator/shell/arithmetic-thread.ts';
import { earlyWeights } from '../../../coordinator/shell/early-weights.ts';
import { initialCopy, modelState } from '../../../coordinator/shell/model-state.ts';
import { bucketCount, bucketSize } from '../../../coordinator/shell/reducer.ts';
import { sha256Of } from '../../../shared/adapters/fingerprint.ts';
import type { Precision } from '../../../shared/core/method.ts';
import { bucketElements } from '../../../shared/wire/limits.ts';
import { bytesOf } from '../../../shared/wire/tensors.ts';
import { payloadOf, threeBuckets } from '../../support/tiny-run.ts';

const [first, ...rest] = threeBuckets.parameters;
/** A filter that ends within a bucket, then tensors of one dimension, which stay f32. */
const model = {
  ...threeBuckets,
  parameters: [{ ...first!, shape: [4, first!.length / 4] }, ...rest],
};

/** A step of one leaf; the weights are followed while they are made. */
async function stepOf(precision: Precision, where: typeof inLine) {
  const state = modelState(model, initialCopy(model, 5), 0, undefined, precision);
  const early = earlyWeights();
  const numbers = arithmetic(state, early, where);
  const rates = { base: 0.25, predictor: 0.5 };
  numbers.begin(0, { leaves: 1, rates, momentumFactor: 0.9, weightDecay: 0.01 });
  const payload = payloadOf(model, 0, 1);
  for (let bucket = 0; bucket < bucketCount(model); bucket += 1) {
    const elements = bucketSize(model, bucket);
    const slot = numbers.take() as Slot;
    const start = bucket * bucketElements;
    slot.values.set(payload.subarray(start, start + elements));
    numbers.push(slot, elements);
    numbers.apply(bucket);
  }
  const reduced = await numbers.finish();
  const { signal } = new AbortController();
  const followed: Uint8Array[] = [];
  const { length } = state.sent.next;
  for (let offset = 0; offset < length; offset += followed.at(-1)?.length ?? 0) {
    await turn();
    followed.push((await early.next(0, offset, signal)) as Uint8Array);
  }
  await numbers.close();
  return { state, reduced, followed: sha256Of(Buffer.concat(followed)) };
}

for (const where of [inLine, inThread])
  test(`${where === inLine ? 'in line' : 'in a thread'}: rounded once, sums and hashes as in f32`, async () => {
    const plain = await stepOf('f32', where);
    const short = await stepOf('bf16', where);
    const { sent: ofPlain, ...expected } = plain.reduced;
    const { sent, ...reduced } = short.reduced;
    assert.deepEqual(reduced, expected);
    assert.equal(ofPlain, reduced.weights);
    assert.equal(plain.followed, ofPlain);
    assert.notEqual(sent, ofPlain);
    assert.equal(short.followed, sent);
    assert.equal(sha256Of(short.state.sent.next), sent);
    assert.equal(
      short.state.sent.next.length,
      bytesOf(short.state.next.weights).length - 2 * first!.length,
    );
    const again = modelState(model, short.state.next, 1, undefined, 'bf16');
    assert.equal(again.sent.hash, sent, 'a coordinator that begins there sends the same');
  });
