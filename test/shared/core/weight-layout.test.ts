/** Weights on their way to a worker: layout, rounding, and pieces that may end anywhere. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { architecture } from '../../../shared/core/architecture.ts';
import { initialStatistics, initialWeights } from '../../../shared/core/initialise.ts';
import type { Precision } from '../../../shared/core/method.ts';
import { weightLayout, writeWeights } from '../../../shared/core/weight-layout.ts';
import {
  heldWeights,
  placeSent,
  tensorBytes,
  weightMemory,
} from '../../../shared/core/weight-memory.ts';
import { bytesOf } from '../../../shared/wire/tensors.ts';
import { drawsOf } from '../../support/draws.ts';
import { tinyModel } from '../../support/tiny-run.ts';

const precisions: readonly Precision[] = ['f32', 'tf32', 'bf16'];

/** What a coordinator sends, made in ranges that end anywhere. */
function sentOf(precision: Precision, weights: Float32Array, statistics: Float32Array): Uint8Array {
  const draw = drawsOf(3);
  const layout = weightLayout(tinyModel, precision);
  const sent = new Uint8Array(layout.sentBytes);
  for (let first = 0, bytes = 0; first < weights.length; ) {
    const end = Math.min(weights.length, first + 1 + Math.floor(97 * draw()));
    const made = writeWeights(tinyModel, layout, 'sentAt', weights, [first, end], sent);
    assert.ok(made > bytes && made <= layout.weightBytes);
    [first, bytes] = [end, made];
  }
  sent.set(bytesOf(statistics), layout.weightBytes);
  return sent;
}

for (const precision of precisions)
  describe(precision, () => {
    const weights = initialWeights(tinyModel, 1);
    const statistics = initialStatistics(tinyModel);

    test('tensors lie at multiples of 64 bytes and do not overlap', () => {
      const { parameters, statistics: running, memoryBytes } = weightLayout(tinyModel, precision);
      let end = 0;
      for (const { at, bytes } of [...parameters, ...running]) {
        assert.equal(at % 64, 0);
        assert.ok(at >= end && at < end + 64);
        end = at + bytes;
      }
      assert.ok(memoryBytes >= end);
    });

    test('pieces that end anywhere make the memory that the weights make', () => {
      const sent = sentOf(precision, weights, statistics);
      const layout = weightLayout(tinyModel, precision);
      const memory = weightMemory(layout);
      const draw = drawsOf(4);
      for (let from = 0; from < sent.length; ) {
        const to = Math.min(sent.length, from + 1 + Math.floor(333 * draw()));
        placeSent(layout, memory, sent.subarray(from, to), from);
        from = to;
      }
      assert.deepEqual(memory, heldWeights(tinyModel, precision, weights, statistics));
    });

    test('what has one dimension and the statistics are f32', () => {
      const memory = heldWeights(tinyModel, precision, weights, statistics);
      const { parameters } = weightLayout(tinyModel, precision);
      for (const [i, tensor] of parameters.entries()) {
        const { offset, length, shape } = tinyModel.parameters[i]!;
        const short = precision === 'bf16' && shape.length > 1;
        assert.equal(tensor.type, short ? 'bfloat16' : 'float32');
        assert.equal(tensor.bytes, (short ? 2 : 4) * length);
        if (short) continue;
        const own = bytesOf(weights.subarray(offset, offset + length));
        assert.deepEqual(tensorBytes(memory, tensor), own);
      }
    });
  });

test('bfloat16 is the nearest, of two as near the even one', () => {
  const f32 = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]!;
  const cases: [f32: number, bf16: number][] = [
    [0x3f80_0000, 0x3f80], // 1
    [0x3f80_8000, 0x3f80], // half way, even below
    [0x3f81_8000, 0x3f82], // half way, even above
    [0x3f80_8001, 0x3f81],
    [0x3f80_7fff, 0x3f80],
    [0xbf81_8000, 0xbf82],
    [0x7f7f_ffff, 0x7f80], // larger than the largest: infinity, as in TensorFlow
    [0x0000_0000, 0x0000],
    [0x8000_0000, 0x8000],
    [0x0000_8001, 0x0001], // a denormal stays one
  ];
  const one = { name: 'w', shape: [1, cases.length], offset: 0, length: cases.length };
  const plan = { ...tinyModel, parameters: [{ ...one, initial: { kind: 'constant', value: 0 } }] };
  const network = { ...plan, parameterCount: cases.length } as typeof tinyModel;
  const layout = weightLayout(network, 'bf16');
  const sent = new Uint8Array(layout.weightBytes);
  const values = Float32Array.from(cases, ([bits]) => f32(bits));
  writeWeights(network, layout, 'sentAt', values, [0, cases.length], sent);
  const found = [...new Uint16Array(sent.buffer)];
  assert.deepEqual(
    found,
    cases.map(([, short]) => short),
  );
});

test('of ResNet-18 in bf16 half the bytes are sent', () => {
  const net = architecture('resnet18');
  const [f32, bf16] = [weightLayout(net, 'f32'), weightLayout(net, 'bf16')];
  assert.equal(f32.weightBytes, 4 * net.parameterCount);
  assert.ok(bf16.weightBytes < 0.502 * f32.weightBytes);
});
