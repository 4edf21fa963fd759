/** Weights that travel while they are made: over real gRPC, from the service to a worker's transport. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { earlyWeights } from '../../../coordinator/shell/early-weights.ts';
import { emptyCopy, modelState, swap } from '../../../coordinator/shell/model-state.ts';
import type { RunContext } from '../../../coordinator/shell/run-context.ts';
import { stepMeter } from '../../../coordinator/shell/step-meter.ts';
import { trainingService } from '../../../coordinator/shell/training-service.ts';
import { dial } from '../../../shared/adapters/dial.ts';
import { sha256Of } from '../../../shared/adapters/fingerprint.ts';
import { TrainingService, tunedServer } from '../../../shared/adapters/grpc.ts';
import { weightLayout } from '../../../shared/core/weight-layout.ts';
import { weightMemory } from '../../../shared/core/weight-memory.ts';
import { bucketElements } from '../../../shared/wire/limits.ts';
import { bytesOf } from '../../../shared/wire/tensors.ts';
import { openTransport } from '../../../worker/shell/transport.ts';
import { flatIn } from '../../support/held-weights.ts';
import { payloadOf, threeBuckets } from '../../support/tiny-run.ts';

/** A coordinator's data plane with a model of three buckets in step 0, and a worker's end of it. */
async function dataPlane(t: TestContext) {
  const model = modelState(threeBuckets, emptyCopy(threeBuckets), 0);
  const early = earlyWeights();
  const parts = { plan: { generation: 1 }, links: new Map(), model, early, meter: stepMeter() };
  const server = tunedServer();
  server.addService(
    TrainingService.service,
    trainingService(parts as unknown as RunContext, () => {
      throw new Error('no run loop here');
    }),
  );
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (e, p) => (e ? reject(e) : resolve(p)));
  });
  const transport = openTransport(dial(`127.0.0.1:${port}`));
  t.after(() => {
    transport.close();
    server.forceShutdown();
  });
  const layout = weightLayout(threeBuckets, 'f32');
  const into = { layout, memory: weightMemory(layout) };
  const received = () => flatIn(threeBuckets, into.memory);
  const begin = (step: number) =>
    early.begin(step, model.sent.next, bytesOf(model.next.statistics));
  /** As the reducer does it: values into the second copy, then the word that they are there. */
  const make = (from: number, to: number, seed: number) => {
    const values = payloadOf(threeBuckets, 0, seed).subarray(from, to);
    model.next.weights.set(values, from);
    early.made(4 * to);
  };
  const arrived = async (index: number, value: number) => {
    for (let i = 0; i < 1000 && received().weights[index] !== value; i += 1) await sleep(10);
    assert.equal(received().weights[index], value);
  };
  return { model, early, transport, into, received, begin, make, arrived };
}

const { parameterCount } = threeBuckets;

test('a piece arrives before the next is made; the hash is that of the whole', async (t) => {
  const { model, early, transport, into, received, begin, make, arrived } = await dataPlane(t);
  const ahead = transport.followWeights(1, 0, into);
  begin(0);
  make(0, bucketElements, 1);
  await arrived(bucketElements - 1, model.next.weights[bucketElements - 1] ?? Number.NaN);
  assert.equal(received().weights[bucketElements], 0);
  make(bucketElements, parameterCount, 1);
  model.next.statistics.fill(0.5);
  early.whole();
  assert.equal((await ahead.hashes)?.weights, sha256Of(bytesOf(model.next.weights)));
  assert.deepEqual(received().weights, model.next.weights);
  assert.deepEqual(received().statistics, model.next.statistics);
});

test('whoever asks just after the commit still gets them; a step later nobody does', async (t) => {
  const { model, early, transport, into, begin, make } = await dataPlane(t);
  begin(0);
  make(0, parameterCount, 1);
  early.whole();
  const weights = sha256Of(bytesOf(model.next.weights));
  swap(model, { weights, momentum: '', statistics: '' }, weights);
  assert.equal((await transport.followWeights(1, 0, into).hashes)?.weights, weights);
  begin(1);
  assert.equal(await transport.followWeights(1, 0, into).hashes, null);
  swap(model, { weights: '', momentum: '', statistics: '' }, '');
  assert.equal(await transport.followWeights(1, 0, into).hashes, null);
});

test('what was given up midway is never taken for what was made in its place', async (t) => {
  const { model, early, transport, into, begin, make, arrived } = await dataPlane(t);
  const ahead = transport.followWeights(1, 0, into);
  begin(0);
  make(0, bucketElements, 1);
  await arrived(0, model.next.weights[0] ?? Number.NaN);
  early.drop();
  begin(0);
  make(0, parameterCount, 2);
  early.whole();
  const hashes = await ahead.hashes;
  assert.notEqual(hashes, null);
  assert.notEqual(hashes?.weights, sha256Of(bytesOf(model.next.weights)));
});

test('a worker that gives up, or a step that ends otherwise, leaves nobody waiting', async (t) => {
  const { transport, into, begin } = await dataPlane(t);
  const ahead = transport.followWeights(1, 0, into);
  ahead.cancel();
  assert.equal(await ahead.hashes, null);
  const next = transport.followWeights(1, 0, into);
  begin(0);
  begin(1);
  assert.equal(await next.hashes, null);
});
