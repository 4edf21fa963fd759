/**
 * Kernels of the recorder for layers: convolution, pooling, matrix products, inference batch norm.
 *
 * In bf16 these are where the casts are: a convolution or a matrix product takes bfloat16 and sums
 * in float32 inside. Activations between convolutions stay bfloat16; gradients of weights, and all
 * that comes out of a matrix product (the heads: small), are float32 again at once.
 */
import type { TensorInfo } from '../tfjs.ts';
import { tf } from '../tfjs.ts';
import type { Attributes, Edge } from './graph.ts';
import { add, cast, int32s } from './nodes.ts';
import type { KernelAttributes, RecordKernel, Recording } from './recording.ts';

export type Shape4D = [number, number, number, number];

const relu: RecordKernel = ({ graph, edge }, { x }) => {
  const from = edge(x);
  return add(graph, 'Relu', [from], from.shape);
};

const matMul: RecordKernel = (recording, { a, b }, { transposeA, transposeB }) => {
  const type = recording.productType();
  const [left, right] = [recording.as(a, type), recording.as(b, type)];
  const rows = left.shape.at(transposeA ? -1 : -2) as number;
  const columns = right.shape.at(transposeB ? -2 : -1) as number;
  const batch = tf.backend_util.assertAndGetBroadcastShape(
    left.shape.slice(0, -2),
    right.shape.slice(0, -2),
  );
  const { graph } = recording;
  const product = add(graph, 'BatchMatMulV2', [left, right], [...batch, rows, columns], {
    adj_x: { kind: 'bool', value: Boolean(transposeA) },
    adj_y: { kind: 'bool', value: Boolean(transposeB) },
  });
  return cast(graph, product, 'float32');
};

/** What a convolution of these shapes is: its geometry, and its attributes for TensorFlow. */
export function convolution(
  input: readonly number[],
  filter: readonly number[],
  attributes: KernelAttributes,
) {
  const info = tf.backend_util.computeConv2DInfo(
    input as Shape4D,
    filter as Shape4D,
    attributes['strides'] as number | [number, number],
    (attributes['dilations'] as number | [number, number] | undefined) ?? 1,
    attributes['pad'] as 'same' | 'valid',
  );
  const own: Attributes = {
    strides: { kind: 'ints', values: [1, info.strideHeight, info.strideWidth, 1] },
    dilations: { kind: 'ints', values: [1, info.dilationHeight, info.dilationWidth, 1] },
    padding: { kind: 'text', value: plainPadding(info.padInfo.type) },
    data_format: { kind: 'text', value: 'NHWC' },
  };
  return { info, outShape: info.outShape, attributes: own };
}

function plainPadding(type: string): string {
  if (type === 'SAME' || type === 'VALID') return type;
  throw new Error(`Expected padding SAME or VALID, found ${type}: lay zeros with tf.pad.`);
}

const conv2d: RecordKernel = (recording, { x, filter }, attributes) => {
  const type = recording.productType();
  const inputs = [recording.as(x, type), recording.as(filter, type)] as const;
  const { outShape, attributes: own } = convolution(inputs[0].shape, inputs[1].shape, attributes);
  return add(recording.graph, 'Conv2D', inputs, outShape, own);
};

const inputGradient: RecordKernel = (recording, { dy, filter }, attributes) => {
  const { graph, as } = recording;
  const type = recording.productType();
  const shape = attributes['inputShape'] as Shape4D;
  const weights = as(filter, type);
  const { attributes: own } = convolution(shape, weights.shape, attributes);
  const inputs = [int32s(graph, shape), weights, as(dy, type)];
  const T = { kind: 'type', type } as const;
  return add(graph, 'Conv2DBackpropInput', inputs, shape, { ...own, T }, type);
};

const filterGradient: RecordKernel = (recording, { x, dy }, attributes) => {
  const { graph, as } = recording;
  const type = recording.productType();
  const shape = attributes['filterShape'] as Shape4D;
  const input = as(x, type);
  const { attributes: own } = convolution(input.shape, shape, attributes);
  return add(
    graph,
    'Conv2DBackpropFilter',
    [input, int32s(graph, shape), as(dy, type)],
    shape,
    own,
  );
};

function pooling(
  input: readonly number[],
  attributes: KernelAttributes,
): { outShape: Shape4D; attributes: Attributes } {
  const info = tf.backend_util.computePool2DInfo(
    input as Shape4D,
    attributes['filterSize'] as number | [number, number],
    attributes['strides'] as number | [number, number],
    1,
    attributes['pad'] as 'same' | 'valid',
    attributes['dimRoundingMode'] as undefined,
  );
  return {
    outShape: info.outShape,
    attributes: {
      ksize: { kind: 'ints', values: [1, info.filterHeight, info.filterWidth, 1] },
      strides: { kind: 'ints', values: [1, info.strideHeight, info.strideWidth, 1] },
      padding: { kind: 'text', value: plainPadding(info.padInfo.type) },
      data_format: { kind: 'text', value: 'NHWC' },
    },
  };
}

const maxPool: RecordKernel = ({ graph, edge }, { x }, attributes) => {
  const from = edge(x);
  const { outShape, attributes: own } = pooling(from.shape, attributes);
  return add(graph, 'MaxPool', [from], outShape, own);
};

const maxPoolGradient: RecordKernel = ({ graph, edge, as }, inputs, attributes) => {
  const from = edge(inputs['input']);
  const { attributes: own } = pooling(from.shape, attributes);
  const edges = [from, as(inputs['output'], from.type), as(inputs['dy'], from.type)];
  return add(graph, 'MaxPoolGrad', edges, from.shape, own);
};

/** Batch norm by given moments. */
const givenBatchNorm: RecordKernel = (recording, inputs, attributes) => {
  const { graph, edge, as } = recording;
  const { x, mean, variance, scale, offset } = inputs;
  const from = edge(x);
  const given = [
    orFilled(recording, scale, mean, 1),
    orFilled(recording, offset, mean, 0),
    as(mean, 'float32'),
    as(variance, 'float32'),
  ];
  const own = {
    U: { kind: 'type', type: 'float32' },
    epsilon: { kind: 'float', value: attributes['varianceEpsilon'] as number },
    data_format: { kind: 'text', value: 'NHWC' },
    is_training: { kind: 'bool', value: false },
  } as const;
  return add(graph, 'FusedBatchNormV3', [from, ...given], from.shape, own);
};

function orFilled(
  { graph, as }: Recording,
  tensor: TensorInfo | undefined,
  like: TensorInfo | undefined,
  value: number,
): Edge {
  if (tensor) return as(tensor, 'float32');
  const shape = like?.shape ?? [];
  const values = new Float32Array(tf.util.sizeFromShape(shape)).fill(value);
  return graph.constant(values, { shape, type: 'float32' });
}

export const networkKernels: Record<string, RecordKernel> = {
  Relu: relu,
  BatchMatMul: matMul,
  Conv2D: conv2d,
  Conv2DBackpropInput: inputGradient,
  Conv2DBackpropFilter: filterGradient,
  MaxPool: maxPool,
  MaxPoolGrad: maxPoolGradient,
  FusedBatchNorm: givenBatchNorm,
};
