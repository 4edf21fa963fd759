/**
 * The compiled step against the eager one, and what the recorder refuses.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LeafOutput } from '../../../shared/ports/compute.ts';
import { type ComputeOptions, createCompute } from '../../../worker/compute/compute.ts';
import { keepGraph } from '../../../worker/compute/compiled/graph-folder.ts';
import { record } from '../../../worker/compute/compiled/recorder.ts';
import { tf } from '../../../worker/compute/tfjs.ts';
import { bitsOf } from '../../contract/compute-contract.ts';
import {
  tinyArchitecture as architecture,
  leafInput,
  method,
  plan,
  skipReason,
  lively,
} from './tiny.ts';

describe('the compiled step', { skip: skipReason('tensorflow') }, () => {
  let folder: string;
  let eager: LeafOutput;
  let composed: LeafOutput;
  let fused: LeafOutput;

  async function leafOf(options: Partial<ComputeOptions>): Promise<LeafOutput> {
    const compute = await createCompute({
      backend: 'tensorflow',
      method,
      architecture,
      plan,
      graphFolder: folder,
      ...options,
    });
    await compute.load(lively());
    const output = await compute.leaf(leafInput());
    await compute.close();
    return output;
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'graphs-'));
    eager = await leafOf({ mode: 'eager' });
    composed = await leafOf({ mode: 'compiled', fused: false });
    fused = await leafOf({ mode: 'compiled' });
  });
  after(() => rmSync(folder, { recursive: true }));

  test('without fused kernels it has the bits of the eager step', () => {
    assert.equal(bitsOf(composed), bitsOf(eager));
  });

  test('with them it differs by the rounding of sums in another order', () => {
    assert.notEqual(bitsOf(fused), bitsOf(eager), 'then the fused kernels did not run');
    assert.ok(Math.abs(fused.loss - eager.loss) < 1e-6);
    assert.ok(Math.abs(fused.std - eager.std) < 1e-6);
    // A batch norm's sums differ in the last bits (1e-7 relative); its gradient and eight layers
    // make a hundred times that of each tensor's largest value.
    for (const { name, offset, length } of architecture.parameters) {
      const expected = eager.payload.subarray(offset, offset + length);
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [i, value] of expected.entries()) {
        const off = Math.abs((fused.payload[offset + i] ?? 0) - value);
        assert.ok(off <= 1e-5 * largest + 1e-9, `${name}[${i}]: off by ${off} of ${largest}`);
      }
    }
  });

  test('the same graph is kept once, and a damaged one is written again', async () => {
    const kept = readdirSync(folder);
    assert.equal(kept.length, 2, 'one fused, one composed');
    for (const graph of kept) writeFileSync(join(folder, graph, 'saved_model.pb'), 'damaged');
    assert.equal(bitsOf(await leafOf({ mode: 'compiled' })), bitsOf(fused));
    assert.deepEqual(readdirSync(folder), kept);
  });

  test('a graph can be kept where the folder cannot be made', () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const elsewhere = keepGraph(Uint8Array.of(1, 2, 3), join(file, 'below'));
    assert.deepEqual(readdirSync(elsewhere).sort(), ['saved_model.pb', 'variables']);
    rmSync(elsewhere, { recursive: true });
    rmSync(file);
  });

  test('an operation that the recorder lacks is named, with the line that calls it', () => {
    const options = { fused: true, cpu: true, precision: 'f32' } as const;
    assert.throws(
      () => record(options, () => tf.erf(tf.tensor1d([1, 2]))),
      (error: Error) => /found Erf in .*compiled\.test/.test(error.message),
    );
    assert.equal(tf.getBackend(), 'tensorflow', 'the backend is the one from before');
  });

  test('a value cannot be read while the step is recorded', () => {
    const options = { fused: true, cpu: true, precision: 'f32' } as const;
    assert.throws(() => record(options, () => tf.tensor1d([1, 2]).dataSync()), /reads no values/);
  });
});
