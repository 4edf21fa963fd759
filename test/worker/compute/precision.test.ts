/**
 * Precisions: who is refused, and what bf16 changes and leaves.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LeafOutput } from '../../../shared/ports/compute.ts';
import type { Precision } from '../../../shared/core/method.ts';
import { heldWeights } from '../../../shared/core/weight-memory.ts';
import { createCompute } from '../../../worker/compute/compute.ts';
import { cpuFlags, precisionRefusal } from '../../../worker/compute/precision.ts';
import { bitsOf } from '../../contract/compute-contract.ts';
import {
  tinyArchitecture as architecture,
  firstStatistics,
  leafInput,
  livelyWeights,
  method,
  plan,
  skipReason,
} from './tiny.ts';

const cpu = { backend: 'tensorflow', device: 'CPU' } as const;
const gpu = { backend: 'tensorflow', device: 'GPU' } as const;
const zen4 = new Set(['avx2', 'avx512f', 'avx512_bf16']);
const haswell = new Set(['avx2']);

test('f32 runs anywhere', () => {
  assert.equal(precisionRefusal('f32', cpu, 'eager', haswell), null);
});

test('bf16 needs a CPU that has it, or a GPU, and the compiled step', () => {
  assert.equal(precisionRefusal('bf16', cpu, 'compiled', zen4), null);
  assert.equal(precisionRefusal('bf16', gpu, 'compiled', haswell), null);
  assert.match(precisionRefusal('bf16', cpu, 'compiled', haswell) ?? '', /AVX512-BF16 or AMX/);
  const wasm = { backend: 'wasm', device: 'CPU' } as const;
  assert.match(precisionRefusal('bf16', wasm, 'eager', zen4) ?? '', /found wasm, eager/);
});

test('tf32 is a thing of NVIDIA GPUs', () => {
  assert.equal(precisionRefusal('tf32', gpu, 'compiled', null), null);
  assert.match(precisionRefusal('tf32', cpu, 'compiled', zen4) ?? '', /NVIDIA GPU/);
});

test('wasm refuses bf16 when it is made', async () => {
  const asked = { ...method, precision: 'bf16' as const };
  await assert.rejects(
    createCompute({ backend: 'wasm', method: asked, architecture, plan }),
    /precision bf16, found wasm/,
  );
});

const lacking = precisionRefusal('bf16', cpu, 'compiled', cpuFlags());

describe('bf16', { skip: skipReason('tensorflow') || (lacking ?? false) }, () => {
  async function leafOf(precision: Precision): Promise<[LeafOutput, LeafOutput, Float32Array]> {
    const compute = await createCompute({
      backend: 'tensorflow',
      method: { ...method, precision },
      architecture,
      plan,
    });
    await compute.load(heldWeights(architecture, precision, livelyWeights(), firstStatistics()));
    const { pixels, view1 } = leafInput();
    const outputs = [await compute.leaf(leafInput()), await compute.leaf(leafInput())] as const;
    const view = await compute.view(pixels, view1);
    await compute.close();
    return [...outputs, view];
  }

  test('gives the same bits twice, near those of f32, and the same views', async () => {
    const [f32, , view] = await leafOf('f32');
    const [first, second, sameView] = await leafOf('bf16');
    assert.equal(bitsOf(second), bitsOf(first));
    assert.notEqual(bitsOf(first), bitsOf(f32));
    assert.deepEqual(sameView, view);
    // bfloat16 keeps 8 bits: 0.4 % a rounding, some thirty roundings deep, most of it averaged out.
    assert.ok(Math.abs(first.loss - f32.loss) < 0.02, `${first.loss}, ${f32.loss}`);
    assert.ok(Math.abs(first.std - f32.std) < 0.02 * f32.std, `${first.std}, ${f32.std}`);
    const { parameterCount } = architecture;
    const [a, b] = [f32, first].map(({ payload }) => payload.subarray(0, parameterCount));
    assert.ok(
      a && b && cosine(a, b) > 0.97,
      `gradients point elsewhere: ${a && b && cosine(a, b)}`,
    );
  });
});

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
