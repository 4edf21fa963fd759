/** Checkpoints: bytes that are a function of the state, found damaged where they are. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkpointName,
  checkpointSteps,
  type CheckpointRequest,
  clearUnfinished,
  pruneCheckpoints,
  readCheckpoint,
  readManifest,
  writeCheckpoint,
} from '../../../coordinator/shell/checkpoints.ts';
import { hashesOf, initialCopy } from '../../../coordinator/shell/model-state.ts';
import { takeGeneration } from '../../../coordinator/shell/run-folder.ts';
import { Failure } from '../../../shared/core/failures.ts';
import { payloadOf, runFolder, threeBuckets, tinyModel } from '../../support/tiny-run.ts';

function requestOf(folder: string, step: number, architecture = tinyModel): CheckpointRequest {
  const copy = initialCopy(architecture, 11);
  copy.momentum.set(payloadOf(architecture, step, 1).subarray(0, architecture.parameterCount));
  // A value of each odd kind must survive.
  copy.momentum.set([-0, 1e-42, 3.4e38, -1.17e-38]);
  return {
    folder,
    generation: 1,
    architecture,
    copy,
    step,
    identity: 'identity',
    hashes: hashesOf(copy),
    record: 'record',
    reproducible: true,
  };
}

const modelPath = (folder: string, step: number) =>
  join(folder, 'checkpoints', checkpointName(step), 'model.safetensors');

const damaged = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, 'checkpoint-damaged');
  assert.match(error.message, message);
  return true;
};

test('a checkpoint comes back bit for bit', async (t) => {
  const folder = await runFolder(t);
  for (const architecture of [tinyModel, threeBuckets]) {
    const request = requestOf(folder, 7, architecture);
    const written = await writeCheckpoint(request);
    const { copy, manifest } = await readCheckpoint(folder, 7, architecture);
    assert.deepEqual(manifest, written);
    assert.deepEqual(await readManifest(folder, 7), written);
    assert.deepEqual(hashesOf(copy), request.hashes);
    assert.ok(Object.is(copy.momentum[0], -0), 'minus zero stays');
  }
});

test("the digest is the file's SHA-256, and the size is its size", async (t) => {
  const folder = await runFolder(t);
  const manifest = await writeCheckpoint(requestOf(folder, 12));
  const bytes = await readFile(modelPath(folder, 12));
  assert.equal(createHash('sha256').update(bytes).digest('hex'), manifest.digest);
  assert.equal(bytes.length, manifest.bytes);
});

test('the same state gives the same bytes, whoever writes them where', async (t) => {
  const [one, two] = [await runFolder(t), await runFolder(t)];
  const a = await writeCheckpoint(requestOf(one, 3));
  const b = await writeCheckpoint({
    ...requestOf(two, 3),
    generation: 9,
    identity: 'other',
    record: null,
    reproducible: false,
  });
  assert.equal(a.digest, b.digest);
  assert.deepEqual(await readFile(modelPath(one, 3)), await readFile(modelPath(two, 3)));
});

test('one bit of any part of the state, or the step, gives another digest', async (t) => {
  const folder = await runFolder(t);
  const { digest } = await writeCheckpoint(requestOf(folder, 3));
  for (const part of ['weights', 'momentum', 'statistics'] as const) {
    const request = requestOf(folder, 3);
    const bits = new Uint32Array(request.copy[part].buffer);
    bits[0] = (bits[0] ?? 0) ^ 1;
    assert.notEqual((await writeCheckpoint(request)).digest, digest, part);
  }
  assert.notEqual((await writeCheckpoint(requestOf(folder, 4))).digest, digest);
});

test('the file is safetensors: names sorted, f32, shapes as in the model, data end to end', async (t) => {
  const folder = await runFolder(t);
  const request = requestOf(folder, 5);
  await writeCheckpoint(request);
  const bytes = await readFile(modelPath(folder, 5));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  assert.equal((8 + headerBytes) % 8, 0, 'data begins at a multiple of 8');
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const names = Object.keys(header);
  assert.deepEqual(names, [...names].sort());
  assert.deepEqual(
    names.filter((name) => !name.startsWith('momentum.')).sort(),
    [
      ...tinyModel.parameters.map(({ name }) => name),
      ...tinyModel.statistics.map(({ name }) => name),
      'step',
    ].sort(),
  );
  let end = 0;
  for (const { dtype, data_offsets } of Object.values(header)) {
    assert.equal(dtype, 'F32');
    assert.equal(data_offsets[0], end);
    end = data_offsets[1];
  }
  assert.equal(8 + headerBytes + end, bytes.length);
  assert.deepEqual(header['predictor.0.weight']?.shape, [4, 3]);
  const predictor = tinyModel.parameters.find(({ name }) => name === 'predictor.0.weight');
  const at = 8 + headerBytes + (header['predictor.0.weight']?.data_offsets[0] ?? 0);
  assert.equal(bytes.readFloatLE(at), request.copy.weights[predictor?.offset ?? 0]);
  assert.equal(bytes.readFloatLE(8 + headerBytes + (header['step']?.data_offsets[0] ?? 0)), 5);
});

test('a checkpoint that was cut short is found out', async (t) => {
  const folder = await runFolder(t);
  const { bytes } = await writeCheckpoint(requestOf(folder, 3));
  for (const left of [bytes - 1, 100, 0]) {
    await truncate(modelPath(folder, 3), left);
    await assert.rejects(
      readCheckpoint(folder, 3, tinyModel),
      damaged(new RegExp(`${left} bytes where the manifest says ${bytes}`)),
    );
  }
});

test('a flipped bit anywhere in the file is found out', async (t) => {
  const folder = await runFolder(t);
  const { bytes } = await writeCheckpoint(requestOf(folder, 3));
  const whole = await readFile(modelPath(folder, 3));
  for (const at of [0, 9, 200, bytes >> 1, bytes - 1]) {
    const flipped = Uint8Array.from(whole);
    flipped[at] = (flipped[at] as number) ^ 4;
    await writeFile(modelPath(folder, 3), flipped);
    await assert.rejects(readCheckpoint(folder, 3, tinyModel), damaged(/digest of the manifest/));
  }
  await writeFile(modelPath(folder, 3), whole);
  await readCheckpoint(folder, 3, tinyModel);
});

test('a manifest that is missing or torn is a damaged checkpoint', async (t) => {
  const folder = await runFolder(t);
  await writeCheckpoint(requestOf(folder, 3));
  const path = join(folder, 'checkpoints', checkpointName(3), 'manifest.json');
  await writeFile(path, (await readFile(path, 'utf8')).slice(0, 50));
  await assert.rejects(readCheckpoint(folder, 3, tinyModel), damaged(/step 3 is damaged/));
  assert.equal(await readManifest(folder, 3), null);
  await assert.rejects(readCheckpoint(folder, 4, tinyModel), damaged(/step 4/));
});

test('a checkpoint of another model is refused by the name of a tensor', async (t) => {
  const folder = await runFolder(t);
  await writeCheckpoint(requestOf(folder, 3, threeBuckets));
  await assert.rejects(readCheckpoint(folder, 3, tinyModel), damaged(/tensor .* this model/));
});

test('step 0 and the newest that are asked for are kept', async (t) => {
  const folder = await runFolder(t);
  for (const step of [0, 4, 8, 12, 100, 16]) {
    await writeCheckpoint(requestOf(folder, step));
    await pruneCheckpoints(folder, 3, step);
  }
  const kept = [100, 16, 12, 8, 0];
  assert.deepEqual(await checkpointSteps(folder), kept, 'of 100 its own step decides');
  await pruneCheckpoints(folder, 1, 100);
  assert.deepEqual(await checkpointSteps(folder), [100, 0]);
});

test('what was begun and never ended counts as no checkpoint and is no hindrance', async (t) => {
  const folder = await runFolder(t);
  await mkdir(join(folder, 'checkpoints', `${checkpointName(3)}.1.tmp`));
  await writeFile(join(folder, 'checkpoints', 'notes.txt'), '');
  assert.deepEqual(await checkpointSteps(folder), []);
  await writeCheckpoint(requestOf(folder, 3));
  assert.deepEqual(await checkpointSteps(folder), [3]);
});

test('a fenced coordinator leaves the checkpoints as they are', async (t) => {
  const folder = await runFolder(t);
  await takeGeneration(folder);
  const { digest } = await writeCheckpoint(requestOf(folder, 3));
  await takeGeneration(folder);
  await assert.rejects(writeCheckpoint(requestOf(folder, 4)), (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.code, 'fenced');
    return true;
  });
  assert.deepEqual(await checkpointSteps(folder), [3]);
  assert.equal((await readManifest(folder, 3))?.digest, digest);
  assert.ok((await readdir(join(folder, 'checkpoints'))).includes(checkpointName(3)));
});

test('a new life tidies up what older ones left unfinished, and nothing else', async (t) => {
  const folder = await runFolder(t);
  const root = join(folder, 'checkpoints');
  await writeCheckpoint(requestOf(folder, 1));
  for (const generation of [1, 2, 3]) await mkdir(join(root, `step-00000002.${generation}.tmp`));
  await clearUnfinished(folder, 2);
  assert.deepEqual((await readdir(root)).sort(), [
    'step-00000001',
    'step-00000002.2.tmp',
    'step-00000002.3.tmp',
  ]);
});
