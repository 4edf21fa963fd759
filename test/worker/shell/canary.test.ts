/** The canary: equal machines give equal stages, and each stage shows its own difference. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldWeights } from '../../../shared/core/weight-memory.ts';
import type { LeafOutput } from '../../../shared/ports/compute.ts';
import { runCanary } from '../../../worker/shell/canary.ts';
import { exactCompute } from '../../support/exact-compute.ts';
import { threeBuckets, tinyMethod } from '../../support/tiny-run.ts';

const prove = (
  method = tinyMethod,
  tamper: (output: LeafOutput) => LeafOutput = (output) => output,
) => stagesBy(method, exactCompute(method, threeBuckets, { tamper }));

const stagesBy = async (method: typeof tinyMethod, compute: ReturnType<typeof exactCompute>) =>
  (await runCanary(method, threeBuckets, compute)).stages;

const differing = (
  a: { name: string; sha256: string }[],
  b: { name: string; sha256: string }[],
): string[] => a.flatMap((stage, i) => (stage.sha256 === b[i]?.sha256 ? [] : [stage.name]));

test('two workers of one class prove the same', async () => {
  const [one, two] = [await prove(), await prove()];
  assert.deepEqual(one, two);
  assert.deepEqual(
    one.map(({ name }) => name),
    ['decode', 'draws', 'sum', 'step'],
  );
  assert.ok(one.every(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256)));
});

test('another run before it on the same compute changes nothing', async () => {
  const compute = exactCompute(tinyMethod, threeBuckets);
  const nines = new Float32Array(threeBuckets.parameterCount).fill(9);
  await compute.load(heldWeights(threeBuckets, 'f32', nines, new Float32Array(60)));
  const first = await stagesBy(tinyMethod, compute);
  assert.deepEqual(await stagesBy(tinyMethod, compute), first);
  assert.deepEqual(first, await prove());
});

test('one bit of the gradient, of the moments, of the loss is another class, in the stage "step"', async () => {
  const base = await prove();
  const flip = (at: number) => (output: LeafOutput) => {
    const bits = new Uint32Array(output.payload.buffer);
    bits[at] = (bits[at] as number) ^ 1;
    return output;
  };
  for (const tamper of [
    flip(0),
    flip(threeBuckets.parameterCount + 1),
    (output: LeafOutput) => ({ ...output, loss: output.loss * (1 + 2 ** -40) }),
  ])
    assert.deepEqual(differing(base, await prove(tinyMethod, tamper)), ['step']);
});

test('the run itself is part of the proof: shapes and augmentation, not its seed or length', async () => {
  const base = await prove();
  const { augmentation } = tinyMethod;
  const paler = { ...tinyMethod, augmentation: { ...augmentation, saturation: 0.1 } };
  assert.deepEqual(differing(base, await prove(paler)), ['draws', 'step']);
  const larger = { ...tinyMethod, microBatch: 4 };
  assert.deepEqual(differing(base, await prove(larger)), ['draws', 'step']);
  const longer = { ...tinyMethod, seed: 7, totalSteps: 999, learningRate: 1 };
  assert.deepEqual(await prove(longer), base);
});

test('the graph that computed the step is told with the stages, and is none of them', async () => {
  const graph = 'a'.repeat(64);
  const compute = exactCompute(tinyMethod, threeBuckets, {
    tamper: (output) => ({ ...output, graph }),
  });
  const canary = await runCanary(tinyMethod, threeBuckets, compute);
  assert.equal(canary.graph, graph);
  assert.deepEqual(canary.stages, await prove());
});
