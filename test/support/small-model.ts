/**
 * The smallest model that the real programs take: everything of `shared/core/architecture.ts`, with
 * every name of a model meaning the same 70,000 numbers. Whoever loads `use-small-model.js` first
 * gets this module in the place of that one, so coordinator, worker and `tandem verify` run as
 * shipped and a step takes milliseconds. The canary's sum needs more than 65,537 parameters.
 */
import type { Architecture, Initial, TensorSpec } from '../../shared/core/architecture-types.ts';

export * from '../../shared/core/architecture.ts';

const drawn: Initial = { kind: 'uniform-fan-in', fanIn: 3 };
const constant = (value: number): Initial => ({ kind: 'constant', value });

function laidOut(tensors: [name: string, shape: number[], initial: Initial][]) {
  let offset = 0;
  const specs = tensors.map(([name, shape, initial]): TensorSpec => {
    const length = shape.reduce((a, b) => a * b, 1);
    const spec = { name, shape, offset, length, initial };
    offset += length;
    return spec;
  });
  return { specs, count: offset };
}

const parameters = laidOut([
  ['encoder.conv1.weight', [3, 3, 3, 2500], drawn],
  ['encoder.fc.bias', [100], constant(0)],
  ['predictor.0.weight', [20, 20], drawn],
  ['projector.0.weight', [20, 100], drawn],
]);
const statistics = laidOut([
  ['encoder.bn1.running_mean', [8], constant(0)],
  ['encoder.bn1.running_var', [8], constant(1)],
]);

const small: Architecture = {
  featureWidth: 8,
  outputWidth: 20,
  parameters: parameters.specs,
  parameterCount: parameters.count,
  statistics: statistics.specs,
  statisticCount: statistics.count,
};

export const architecture = (): Architecture => small;
