/** Whose names a file's tensors have, which ResNet they make, and what is told by name where not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  encoderTensors,
  type FoundTensor,
  recognise,
} from '../../../shared/core/encoder-naming.ts';
import { modelNames } from '../../../shared/core/method.ts';
import { fromTorch, torchShape, toTorch } from '../../../shared/core/torch-layout.ts';

const f32 = (name: string, shape: readonly number[] = [1]): FoundTensor => ({
  name,
  dtype: 'F32',
  shape,
});
const counter = (name: string): FoundTensor => ({ name, dtype: 'I64', shape: [] });

/** A model's state dict, its names changed. */
const stateOf = (model: (typeof modelNames)[number], rename = (name: string) => name) =>
  encoderTensors(model).map(({ name, shape }) => f32(rename(name), shape));
const numbered =
  (first: number, shortcut: string) =>
  (name: string): string => {
    const [head = '', ...rest] = name.split('.');
    const places = ['conv1', 'bn1', ...Array.from({ length: first - 2 }, () => '')];
    const all = [...places, 'layer1', 'layer2', 'layer3', 'layer4'];
    const path = rest.map((part) => (part === 'downsample' ? shortcut : part));
    return ['backbone', all.indexOf(head), ...path].join('.');
  };

function told(found: readonly FoundTensor[]): string {
  const result = recognise(found);
  return 'fault' in result ? result.fault : `${result.model} of ${result.naming}`;
}

describe('names are recognised', () => {
  for (const model of modelNames)
    test(`torchvision's, for a ${model}`, () => {
      const found = [...stateOf(model), f32('fc.weight'), f32('fc.bias')];
      assert.equal(told([...found, counter('bn1.num_batches_tracked')]), `${model} of torchvision`);
    });
  test("facebookresearch/simsiam's, with and without DistributedDataParallel", () => {
    const ddp = stateOf('resnet50', (name) => `module.encoder.${name}`);
    const heads = [f32('module.encoder.fc.6.bias'), f32('module.predictor.3.weight')];
    const found = recognise([...ddp, ...heads]);
    assert.ok(!('fault' in found));
    assert.deepEqual(
      [found.model, found.naming, found.leftOut],
      ['resnet50', 'facebookresearch/simsiam', heads.map(({ name }) => name).sort()],
    );
    assert.equal(found.tensors[0]?.found, `module.encoder.${found.tensors[0]?.name}`);
    const alone = stateOf('resnet18', (name) => `encoder.${name}`);
    assert.equal(
      told([...alone, f32('predictor.0.weight')]),
      'resnet18 of facebookresearch/simsiam',
    );
  });
  test("lightly's, by name, by number, and of its own ResNet", () => {
    const heads = [f32('projection_head.layers.0.weight'), f32('prediction_head.layers.3.bias')];
    for (const rename of [
      (name: string) => `backbone.${name}`,
      numbered(4, 'downsample'),
      numbered(2, 'shortcut'),
    ])
      for (const model of ['resnet18', 'resnet50-cifar', 'resnet34'] as const)
        assert.equal(told([...stateOf(model, rename), ...heads]), `${model} of lightly`);
  });
});

describe('what does not fit is told by name', () => {
  const whole = stateOf('resnet18');
  const without = (name: string) => whole.filter((tensor) => tensor.name !== name);
  const instead = (name: string, change: Partial<FoundTensor>) =>
    whole.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));
  const cases: [what: string, found: readonly FoundTensor[], message: RegExp][] = [
    ['a missing convolution', without('layer1.0.conv1.weight'), /lacks layer1\.0\.conv1\.weight/],
    ['a missing stem', without('conv1.weight'), /lacks conv1\.weight/],
    [
      'missing statistics',
      without('layer4.1.bn2.running_var'),
      /lacks layer4\.1\.bn2\.running_var/,
    ],
    [
      'five missing tensors',
      whole.filter(({ name }) => !name.startsWith('layer2.0.bn1') && !name.startsWith('bn1.bias')),
      /lacks bn1\.bias, layer2\.0\.bn1\.bias, layer2\.0\.bn1\.weight and 2 more/,
    ],
    [
      'one too many',
      [...whole, f32('layer5.0.conv1.weight')],
      /layer5\.0\.conv1\.weight is no part/,
    ],
    [
      'a foreign prefix beside it',
      [...whole, f32('momentum_encoder.conv1.weight')],
      /momentum_encoder\.conv1\.weight is no part of a resnet18/,
    ],
    [
      'another shape',
      instead('layer3.0.conv1.weight', { shape: [256, 128, 1, 1] }),
      /layer3\.0\.conv1\.weight is \[256, 128, 1, 1\], a resnet18 has \[256, 128, 3, 3\]/,
    ],
    [
      'our own layout',
      instead('layer1.0.conv1.weight', { shape: [3, 3, 64, 64] }),
      /is \[3, 3, 64, 64\], a resnet18 has \[64, 64, 3, 3\]/,
    ],
    [
      'half precision',
      instead('bn1.weight', { dtype: 'F16' }),
      /bn1\.weight is F16 and must be F32/,
    ],
    [
      'a 5 x 5 stem',
      instead('conv1.weight', { shape: [64, 3, 5, 5] }),
      /a stem is 7 x 7 .* or 3 x 3/,
    ],
    [
      'a ResNet-101',
      [...stateOf('resnet50'), ...[6, 7].map((n) => f32(`layer3.${n}.conv1.weight`))],
      /layers of 3, 4, 8, 3 bottleneck blocks are no ResNet-18, 34 or 50/,
    ],
    ['no ResNet', [f32('blocks.0.attn.qkv.weight')], /layer1.*it has blocks\.0\.attn\.qkv\.weight/],
    ['nothing', [], /none of its 0 tensors/],
  ];
  for (const [what, found, message] of cases) test(what, () => assert.match(told(found), message));
});

test('filters and dense weights are transposed as PyTorch has them, there and back', () => {
  // [height 1, width 2, in 3, out 2]: the value tells its place.
  const shape = [1, 2, 3, 2];
  const ours = Float32Array.from({ length: 12 }, (_, i) => i);
  assert.deepEqual(torchShape(shape), [2, 3, 1, 2]);
  // out 0: in 0 at both widths, in 1, in 2; then out 1.
  assert.deepEqual([...toTorch(ours, shape)], [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]);
  assert.deepEqual(fromTorch(toTorch(ours, shape), shape), ours);
  assert.deepEqual([...toTorch(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])], [1, 4, 2, 5, 3, 6]);
  assert.deepEqual(fromTorch(toTorch(ours, [4, 3]), [4, 3]), ours);
  assert.deepEqual(toTorch(ours, [12]), ours);
});
