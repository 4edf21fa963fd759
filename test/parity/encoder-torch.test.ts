/**
 * Encoders to and from PyTorch: a file with torchvision's names, imported, gives PyTorch's features;
 * a checkpoint with the same weights, exported, gives the same file (encoder_torch.py).
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { torchTensors } from '../../cli/export-encoder.ts';
import { importEncoder } from '../../cli/import-encoder.ts';
import { writeCheckpoint } from '../../coordinator/shell/checkpoints.ts';
import { hashesOf } from '../../coordinator/shell/model-state.ts';
import { readEncoderFolder } from '../../shared/adapters/encoder-folder.ts';
import { openSafetensors } from '../../shared/adapters/safetensors-file.ts';
import { architecture } from '../../shared/core/architecture.ts';
import { centreInput } from '../../shared/core/augment-matrices.ts';
import type { Method, ModelName } from '../../shared/core/method.ts';
import { heldWeights } from '../../shared/core/weight-memory.ts';
import { byName, encodeHeader } from '../../shared/wire/safetensors.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { createCompute } from '../../worker/compute/compute.ts';
import { skipReason } from '../worker/compute/tiny.ts';
import { hashed } from './hashed.ts';

interface Case {
  model: ModelName;
  size: number;
  pictures: number;
  /** torchvision's state dict. */
  shapes: Record<string, number[]>;
  features: number[][];
}
const fixture = new URL('../../../test/parity/encoder-torch.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: Case[] };

const base = mkdtempSync(join(tmpdir(), 'tandem-encoder-'));
after(() => rmSync(base, { recursive: true }));
const { signal } = new AbortController();

/** The script's `fill`. */
function valuesOf(name: string, shape: readonly number[], index: number): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  const scale = Math.sqrt(6 / shape.slice(1).reduce((a, b) => a * b, 1));
  return Float32Array.from(hashed(index, length), (u) => {
    if (shape.length > 1) return (2 * u - 1) * scale;
    if (name.endsWith('running_var')) return 0.5 + u;
    return name.endsWith('.weight') ? 0.4 + 0.4 * u : u - 0.5;
  });
}

/** The state dict as a safetensors file; counters, which are whole numbers there, stay out. */
function writeState(path: string, { shapes }: Case): void {
  const names = Object.keys(shapes).filter((name) => !name.endsWith('num_batches_tracked'));
  const tensors = names
    .sort()
    .map((name, i) => ({ name, shape: shapes[name] ?? [], index: i }))
    .sort(byName);
  const values = tensors.map(({ name, shape, index }) => bytesOf(valuesOf(name, shape, index)));
  writeFileSync(path, Buffer.concat([encodeHeader(tensors).header, ...values]));
}

const method = ({ model, size }: Case) =>
  ({
    model,
    objective: 'simsiam',
    size,
    canvas: size,
    precision: 'f32',
    augmentation: {},
  }) as Method;

async function featuresOf(one: Case, weights: Float32Array, statistics: Float32Array) {
  const { size, pictures } = one;
  const pixels = hashed(2000, pictures * size * size * 3).map((u) => Math.floor(u * 256));
  const images = Array.from({ length: pictures }, () => ({ height: size, width: size }));
  const compute = await createCompute({
    backend: 'tensorflow',
    mode: 'eager',
    method: method(one),
    architecture: architecture(one.model),
  });
  await compute.load(heldWeights(architecture(one.model), 'f32', weights, statistics));
  const found = await compute.features(Uint8Array.from(pixels), centreInput(method(one), images));
  await compute.close();
  return found;
}

for (const one of cases) {
  describe(`${one.model} of torchvision`, { skip: skipReason('tensorflow') }, () => {
    const file = join(base, `${one.model}.safetensors`);
    const folder = join(base, one.model);

    test("an import gives PyTorch's features to 1e-4", async () => {
      writeState(file, one);
      const options = { file, out: folder, size: one.size, signal };
      const { record, leftOut } = await importEncoder(options);
      assert.equal(record.model, one.model);
      assert.deepEqual(leftOut, ['fc.bias', 'fc.weight']);
      const { weights, statistics } = await readEncoderFolder(folder);
      const found = await featuresOf(one, weights, statistics);
      const off = one.features.flat().map((value, i) => Math.abs(value - (found[i] as number)));
      assert.equal(off.length, found.length);
      assert.ok(Math.max(...off) <= 1e-4, `off by ${Math.max(...off)}`);
    });

    test('a number that is not finite is refused by name', async () => {
      const bytes = readFileSync(file);
      bytes.writeFloatLE(Number.NaN, bytes.length - 4);
      writeFileSync(file, bytes);
      const options = { file, out: join(base, 'none'), size: null, signal };
      await assert.rejects(importEncoder(options), /layer4\.\d\.conv\d\.weight holds numbers/);
    });

    test('an export of the same weights has the same tensors', async () => {
      const { weights, statistics } = await readEncoderFolder(folder);
      const run = join(base, `run-${one.model}`);
      for (const name of ['checkpoints', 'generations'])
        mkdirSync(join(run, name), { recursive: true });
      writeFileSync(join(run, 'generations', '00000001'), '');
      const copy = { weights, momentum: weights.map((w) => -w), statistics };
      await writeCheckpoint({
        ...{ folder: run, generation: 1, architecture: architecture(one.model), copy, step: 3 },
        ...{ identity: '', hashes: hashesOf(copy), record: null, reproducible: true },
      });
      const path = join(run, 'checkpoints', 'step-00000003', 'model.safetensors');
      const { encoder, heads } = await torchTensors(path, signal);
      const imported = await openSafetensors(join(folder, 'encoder.safetensors'));
      assert.deepEqual(
        encoder.map(({ name, shape }) => [name, shape]).sort(),
        imported.tensors.map(({ name, shape }) => [name, shape]).sort(),
      );
      for (const tensor of imported.tensors) {
        const ours = encoder.find(({ name }) => name === tensor.name);
        const theirs = await imported.read(tensor);
        assert.ok(Buffer.from(bytesOf(theirs)).equals(bytesOf(ours?.values ?? new Float32Array())));
      }
      await imported.close();
      assert.ok(heads.every(({ name }) => /^(projector|predictor)\./.test(name)));
      const places = heads.find(({ name }) => name === 'predictor.0.weight');
      assert.deepEqual(places?.shape, [512, 2048]);
    });
  });
}
