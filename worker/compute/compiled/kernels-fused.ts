/**
 * Kernels of the recorder that do in one node what the eager program composes (their twins are
 * batch-norm.ts, `relu` in resnet.ts and cross-entropy.ts).
 *
 * `FusedBatchNormV3` centres, scales and takes the moments in one pass over memory where the
 * composed form takes five. Its sums run in another order, so the bits differ from the twin's.
 */
import type { Edge } from './graph.ts';
import { typeOf } from './graph.ts';
import { add } from './nodes.ts';
import type { RecordKernel, Recording } from './recording.ts';
import type { TensorInfo } from '../tfjs.ts';

const layout = { kind: 'text', value: 'NHWC' } as const;
const yes = { kind: 'bool', value: true } as const;

/**
 * x [n, h, w, c], gamma [c], beta [c] → y, mean, *unbiased* variance, and three outputs that the
 * gradient takes back (on a CPU: mean, biased variance, room for oneDNN).
 */
const batchNorm: RecordKernel = (recording, { x, gamma, beta }, { epsilon }) => {
  const { graph, edge, as } = recording;
  const from = edge(x);
  const none = graph.constant(new Float32Array(0), { shape: [0], type: 'float32' });
  const output = { shape: from.shape, type: from.type };
  const moment = { shape: [from.shape[3] as number], type: 'float32' } as const;
  return graph.add(
    'FusedBatchNormV3',
    [from, as(gamma, 'float32'), as(beta, 'float32'), none, none],
    normAttributes(from, epsilon),
    [output, moment, moment, moment, moment, { shape: [0], type: 'float32' }],
  );
};

/** dy, x, gamma and the three kept outputs → dx, dgamma, dbeta. */
const batchNormGradient: RecordKernel = (recording, inputs, { epsilon }) => {
  const { graph, edge, as } = recording;
  const { dy, x, gamma, kept0, kept1, kept2 } = inputs;
  const from = edge(x);
  const kept = [kept0, kept1, kept2].map((tensor) => as(tensor, 'float32'));
  const edges = [as(dy, from.type), from, as(gamma, 'float32'), ...kept];
  const moment = { shape: [from.shape[3] as number], type: 'float32' } as const;
  const output = { shape: from.shape, type: from.type };
  return graph.add('FusedBatchNormGradV3', edges, normAttributes(from, epsilon), [
    output,
    moment,
    moment,
  ]);
};

function normAttributes(x: Edge, epsilon: unknown) {
  return {
    T: typeOf(x.type),
    U: typeOf('float32'),
    epsilon: { kind: 'float', value: epsilon as number },
    data_format: layout,
    is_training: yes,
  } as const;
}

/** dy where y > 0, else 0. */
const reluGradient: RecordKernel = (recording, { dy, y }) => {
  const kept = recording.edge(y);
  return add(recording.graph, 'ReluGrad', [as(recording, dy, kept), kept], kept.shape);
};

/** logits [n, classes], labels int32 [n] → the rows' losses [n] and their slopes [n, classes]. */
const crossEntropy: RecordKernel = ({ graph, edge, as }, { logits, labels }) => {
  const from = as(logits, 'float32');
  const attributes = { T: typeOf('float32'), Tlabels: typeOf('int32') };
  return graph.add('SparseSoftmaxCrossEntropyWithLogits', [from, edge(labels)], attributes, [
    { shape: [from.shape[0] as number], type: 'float32' },
    { shape: from.shape, type: 'float32' },
  ]);
};

function as(recording: Recording, tensor: TensorInfo | undefined, like: Edge): Edge {
  return recording.as(tensor, like.type);
}

export const fusedKernels: Record<string, RecordKernel> = {
  TandemBatchNorm: batchNorm,
  TandemBatchNormGrad: batchNormGradient,
  TandemReluGrad: reluGradient,
  TandemCrossEntropy: crossEntropy,
};
