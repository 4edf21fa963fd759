/** A micro-batch's input: a function of the run and of (step, leaf), two views of one image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Method } from '../../../shared/core/method.ts';
import { permutation } from '../../../shared/core/permutation.ts';
import type { Sample } from '../../../shared/core/sample.ts';
import type { ViewInput } from '../../../shared/core/view.ts';
import { decodeImage, grayImage } from '../../../worker/shell/decode.ts';
import { imageSource, SampleFailure } from '../../../worker/shell/images.ts';
import { type ImageOf, prepareLeaf, prepareSurvey } from '../../../worker/shell/leaf-input.ts';
import { exactCompute } from '../../support/exact-compute.ts';
import { colouredImage, tinyMethod, tinyModel, tinySamples } from '../../support/tiny-run.ts';

const count = 19;
const samples = tinySamples(count);
const { size, canvas, batch, microBatch, seed } = tinyMethod;
const leaves = batch / microBatch;

const imageOf: ImageOf = async (sample) => {
  const image = colouredImage(sample);
  return { image, gray: false };
};

/** The sample that NUMERICS 3 puts at a slot, written out. */
function sampleOfSlot(step: number, leaf: number, slot: number): number {
  const position = step * batch + leaf * microBatch + slot;
  return permutation(seed, Math.floor(position / count), count)(position % count);
}

const compute = exactCompute(tinyMethod, tinyModel);

/** Red of every pixel of a view before colour, 0 to 255, one row an image. */
async function redOf(pixels: Uint8Array, view: ViewInput): Promise<number[][]> {
  const seen = await compute.view(pixels, view);
  return Array.from({ length: microBatch }, (_, n) =>
    Array.from(
      { length: size * size },
      (_pixel, i) => 255 * (seen[(n * size * size + i) * 3] as number),
    ),
  );
}

test('both views of every slot come from the image that stands at its position, and from it alone', async () => {
  for (let step = 0; step < 6; step += 1)
    for (let leaf = 0; leaf < leaves; leaf += 1) {
      const { input } = await prepareLeaf(tinyMethod, samples, step, leaf, imageOf);
      const [one, two] = [
        await redOf(input.pixels, input.view1),
        await redOf(input.pixels, input.view2),
      ];
      for (let slot = 0; slot < microBatch; slot += 1) {
        const red = 1 + sampleOfSlot(step, leaf, slot);
        // A crop that reached beyond the image, or into another, would show another colour.
        for (const value of [...(one[slot] ?? []), ...(two[slot] ?? [])])
          assert.ok(
            Math.abs(value - red) < 1e-3,
            `step ${step}, leaf ${leaf}: ${value}, not ${red}`,
          );
      }
    }
});

test('the two views of a slot are drawn apart', async () => {
  const { input } = await prepareLeaf(tinyMethod, samples, 0, 0, imageOf);
  assert.notDeepEqual(input.view1.rows, input.view2.rows);
  assert.notDeepEqual(input.view1.colour, input.view2.colour);
});

test('a leaf prepared again, elsewhere, in any order, is the same to the byte', async () => {
  const hashes = new Set<string>();
  const first = [];
  for (let leaf = 0; leaf < leaves; leaf += 1)
    first.push(await prepareLeaf(tinyMethod, samples, 3, leaf, imageOf));
  for (let leaf = leaves - 1; leaf >= 0; leaf -= 1) {
    const again = await prepareLeaf(tinyMethod, tinySamples(count), 3, leaf, imageOf);
    assert.deepEqual(again, first[leaf]);
    hashes.add(again.inputHash);
  }
  assert.equal(hashes.size, leaves, 'and no two leaves are the same');
});

test('an epoch uses every sample once, over the borders of steps', async () => {
  const used: string[] = [];
  const noting: ImageOf = (sample) => {
    used.push(sample.path);
    return imageOf(sample);
  };
  for (let leaf = 0; used.length < count; leaf += 1)
    await prepareLeaf(tinyMethod, samples, Math.floor(leaf / leaves), leaf % leaves, noting);
  assert.equal(new Set(used.slice(0, count)).size, count);
});

test('the input hash changes with position, sample, draws and mid-gray, and with nothing else', async () => {
  const hashOf = async (some: {
    method?: Partial<Method>;
    step?: number;
    leaf?: number;
    list?: Sample[];
    images?: ImageOf;
  }) =>
    (
      await prepareLeaf(
        { ...tinyMethod, ...some.method },
        some.list ?? samples,
        some.step ?? 1,
        some.leaf ?? 1,
        some.images ?? imageOf,
      )
    ).inputHash;
  const base = await hashOf({});
  assert.equal(await hashOf({}), base);

  const otherFile = samples.map((s) => ({ ...s, sha256: s.sha256.replace(/^0/, 'f') }));
  const otherPixel: ImageOf = async (sample) => {
    const image = colouredImage(sample);
    image.pixels[0] = (image.pixels[0] as number) ^ 1;
    return { image, gray: false };
  };
  const gray: ImageOf = async () => ({ image: grayImage(canvas), gray: true });
  const { augmentation } = tinyMethod;
  const otherDraws = { augmentation: { ...augmentation, hue: 0.2 } };
  for (const [what, hash] of [
    ['step', await hashOf({ step: 2 })],
    ['leaf', await hashOf({ leaf: 2 })],
    ['seed', await hashOf({ method: { seed: 43 } })],
    ['file', await hashOf({ list: otherFile })],
    ['mid-gray', await hashOf({ images: gray })],
    ['draws', await hashOf({ method: otherDraws })],
  ] as const)
    assert.notEqual(hash, base, what);

  assert.equal(await hashOf({ images: otherPixel }), base, 'pixels show in the leaf, not here');
  const renamed = samples.map((s) => ({ ...s, path: `x/${s.path}`, label: 'x' }));
  assert.equal(await hashOf({ list: renamed }), base, 'a name is not an input');
  assert.equal(await hashOf({ method: { totalSteps: 99, learningRate: 1 } }), base);
});

test('the same image at two positions gives two inputs', async () => {
  const one = tinySamples(1);
  const hashes = new Set<string>();
  for (const step of [0, 1, 2]) {
    const { inputHash, input } = await prepareLeaf(tinyMethod, one, step, 0, imageOf);
    hashes.add(inputHash);
    assert.deepEqual(
      input.pixels.slice(0, canvas * canvas * 3),
      colouredImage(one[0] as Sample).pixels,
    );
  }
  assert.equal(hashes.size, 3);
});

test('without blur in the method no blur matrices are made', async () => {
  const augmentation = { ...tinyMethod.augmentation, blurProbability: 0 };
  const { input } = await prepareLeaf({ ...tinyMethod, augmentation }, samples, 0, 0, imageOf);
  assert.equal(input.view1.blur, null);
  const { input: blurred } = await prepareLeaf(tinyMethod, samples, 0, 0, imageOf);
  assert.equal(blurred.view1.blur?.rows.length, microBatch * size * size);
});

test('a survey sees the samples in the order of the list, with a tail', async () => {
  const { pixels, view } = await prepareSurvey(tinyMethod, samples, 17, 4, imageOf);
  const seen = await compute.view(pixels, view);
  assert.equal(seen.length, 2 * size * size * 3);
  for (const [n, index] of [17, 18].entries()) {
    const red = 255 * (seen[n * size * size * 3] as number);
    assert.ok(Math.abs(red - (1 + index)) < 1e-3, `${red}`);
  }
});

/** A whole PPM: the least that decodes. */
function ppmOf(red: number): Uint8Array {
  const head = new TextEncoder().encode('P6 2 2 255\n');
  const bytes = new Uint8Array(head.length + 12).fill(red);
  bytes.set(head);
  return bytes;
}

test('an image that nobody can decode is mid-gray for whoever is told so, an error otherwise', async () => {
  const [first] = samples as [Sample];
  const own = {
    index: () => Promise.reject(new Error('not here')),
    read: async (sample: Sample) =>
      sample.index === first.index ? ppmOf(9).subarray(0, 14) : ppmOf(sample.index),
  };
  const source = imageSource(canvas, own, () => Promise.reject(new Error('nobody')));
  await assert.rejects(source.images([])(first), (error: unknown) => {
    assert.ok(error instanceof SampleFailure);
    assert.deepEqual([error.code, error.sample], ['sample-undecodable', first.index]);
    assert.match(error.message, /^0\.png: /);
    return true;
  });
  const known = await source.images([first.index])(first);
  assert.deepEqual(known, { image: grayImage(canvas), gray: true });
  const other = await source.images([first.index])(samples[7] as Sample);
  assert.deepEqual(other.image, await decodeImage(ppmOf(7), canvas), 'the others are as they were');
});

test('what the own data lacks is fetched by hash, and other bytes are refused', async () => {
  const { createHash } = await import('node:crypto');
  const bytes = ppmOf(77);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const sample = { ...(samples[3] as Sample), sha256 };
  const asked: string[] = [];
  const fetch = async (hash: string) => {
    asked.push(hash);
    return bytes;
  };
  const got = await imageSource(canvas, null, fetch).images([])(sample);
  assert.deepEqual(got.image, await decodeImage(bytes, canvas));
  assert.deepEqual(asked, [sha256]);
  const lying = imageSource(canvas, null, async () => ppmOf(78));
  await assert.rejects(lying.images([])(sample), (error: unknown) => {
    assert.ok(error instanceof SampleFailure);
    assert.equal(error.code, 'data-changed');
    return true;
  });
});
