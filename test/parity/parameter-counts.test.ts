/**
 * The tensor lists against the counts of torchvision and facebookresearch/simsiam (simsiam.json).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { architecture, parameterIndex } from '../../shared/core/architecture.ts';
import { modelNames } from '../../shared/core/method.ts';

const file = new URL('../../../test/parity/simsiam.json', import.meta.url);
const { params } = JSON.parse(readFileSync(file, 'utf8')) as { params: Record<string, number> };

function count(model: (typeof modelNames)[number], part: string): number {
  return architecture(model)
    .parameters.filter(({ name }) => name.startsWith(`${part}.`))
    .reduce((sum, { length }) => sum + length, 0);
}

test('the encoders have the parameters of the published ones', () => {
  assert.equal(count('resnet18', 'encoder'), params['torchvision_resnet18_nofc']);
  assert.equal(count('resnet50', 'encoder'), params['torchvision_resnet50_nofc']);
  assert.equal(count('resnet18-cifar', 'encoder'), params['cifar_resnet18']);
});

test('the heads have the parameters of the reference, without its unused bias', () => {
  assert.equal(count('resnet50', 'projector'), (params['fb_projector_2048'] ?? 0) - 2048);
  assert.equal(count('resnet50', 'predictor'), params['fb_predictor_2048_512']);
  const total = (params['fb_total_r50'] ?? 0) - 2048;
  assert.equal(architecture('resnet50').parameterCount, total);
});

test('tensors lie end to end in the bytewise order of their names', () => {
  for (const model of modelNames) {
    const { parameters, parameterCount, statistics, statisticCount } = architecture(model);
    for (const [specs, total] of [
      [parameters, parameterCount],
      [statistics, statisticCount],
    ] as const) {
      let offset = 0;
      for (const [i, spec] of specs.entries()) {
        assert.equal(spec.offset, offset);
        assert.equal(
          spec.length,
          spec.shape.reduce((product, side) => product * side, 1),
        );
        const previous = specs[i - 1];
        if (previous)
          assert.ok(Buffer.compare(Buffer.from(previous.name), Buffer.from(spec.name)) < 0);
        offset += spec.length;
      }
      assert.equal(offset, total);
    }
  }
});

test('every residual block starts as the identity', () => {
  for (const [model, last] of [
    ['resnet18', 'bn2'],
    ['resnet50', 'bn3'],
  ] as const) {
    const norms = architecture(model).parameters.filter(
      ({ name, shape }) => shape.length === 1 && name.endsWith('.weight'),
    );
    for (const { name, initial } of norms) {
      const value = name.startsWith('encoder.layer') && name.endsWith(`.${last}.weight`) ? 0 : 1;
      assert.deepEqual(initial, { kind: 'constant', value }, name);
    }
  }
});

test("names and shapes are torchvision's, in the layout of the compute room", () => {
  const tensors = parameterIndex(architecture('resnet50'));
  const shapes: Record<string, number[]> = {
    'encoder.conv1.weight': [7, 7, 3, 64],
    'encoder.layer1.0.downsample.0.weight': [1, 1, 64, 256],
    'encoder.layer2.0.conv2.weight': [3, 3, 128, 128],
    'encoder.layer4.2.bn3.bias': [2048],
    'projector.0.weight': [2048, 2048],
    'projector.4.bias': [2048],
    'predictor.0.weight': [2048, 512],
    'predictor.3.bias': [2048],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    assert.deepEqual(tensors.get(name)?.shape, shape, name);
  }
  assert.equal(tensors.get('projector.7.weight'), undefined, 'the last norm is not affine');
  assert.equal(tensors.get('predictor.0.bias'), undefined);
});
