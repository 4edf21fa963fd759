/**
 * The linear layer of a supervised network, for the images of an evaluation.
 */
import { architecture, parameterIndex } from '../shared/core/architecture.ts';
import { Failure } from '../shared/core/failures.ts';
import type { Labels } from '../shared/core/labels.ts';
import type { Dense } from '../shared/core/probe-rules.ts';
import type { EvaluatedNetwork } from './evaluated-network.ts';

/** The linear layer of a supervised network, its classes in the order of the labels. */
export function classifierOf({ method, copy, name }: EvaluatedNetwork, labels: Labels): Dense {
  const { classes } = method;
  if (classes === undefined)
    throw new Failure(
      'bad-option',
      `${name} was trained without labels and has no classifier: use eval linear or eval knn.`,
    );
  const unknown = labels.names.find((label) => !classes.includes(label));
  if (unknown !== undefined || labels.names.length !== classes.length)
    throw new Failure(
      'data-changed',
      `${name} knows the classes ${classes.join(', ')}; the images have ${labels.names.join(', ')}`,
    );
  const index = parameterIndex(architecture(method.model, classes.length));
  const [weight, bias] = [index.get('classifier.weight'), index.get('classifier.bias')];
  if (weight === undefined || bias === undefined) throw new Error('a classifier without tensors');
  const [width = 0] = weight.shape;
  const weights = new Float64Array(weight.length);
  for (const [k, label] of labels.names.entries()) {
    const column = classes.indexOf(label);
    for (let j = 0; j < width; j += 1)
      weights[k * width + j] = copy.weights[weight.offset + j * classes.length + column] ?? 0;
  }
  const biases = labels.names.map(
    (label) => copy.weights[bias.offset + classes.indexOf(label)] ?? 0,
  );
  return { weights, bias: Float64Array.from(biases) };
}
