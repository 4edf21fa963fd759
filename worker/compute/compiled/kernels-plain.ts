/**
 * Kernels of the recorder that compute element by element, reduce, or make values.
 *
 * Each adds the operation that tfjs-node runs for the same kernel, so that a recorded step has the
 * bits of the eager one. In bf16 they compute in float32, but for sums of activations.
 */
import { tf } from '../tfjs.ts';
import { type Edge, type GraphType, typeOf } from './graph.ts';
import { add, int32s, type Kernels, scalarLike, wide } from './nodes.ts';
import type { KernelAttributes, KernelInputs, RecordKernel, Recording } from './recording.ts';

const unary =
  (op: string): RecordKernel =>
  (recording, { x }) => {
    const edge = wide(recording, x);
    return add(recording.graph, op, [edge], edge.shape);
  };

const binary =
  (op: string, result?: GraphType): RecordKernel =>
  (recording, { a, b }) => {
    const [left, right] = [wide(recording, a), wide(recording, b)];
    const shape = tf.backend_util.assertAndGetBroadcastShape([...left.shape], [...right.shape]);
    return add(recording.graph, op, [left, right], shape, {}, result ?? left.type);
  };

/** A sum of activations that are both bfloat16 stays so, as autocast has it elsewhere. */
const sum: RecordKernel = (recording, { a, b }, attributes) => {
  const [left, right] = [recording.edge(a), recording.edge(b)];
  if (left.type !== 'bfloat16' || right.type !== 'bfloat16') {
    return binary('AddV2')(recording, { a, b }, attributes);
  }
  const shape = tf.backend_util.assertAndGetBroadcastShape([...left.shape], [...right.shape]);
  return add(recording.graph, 'AddV2', [left, right], shape);
};

const reduction =
  (op: string): RecordKernel =>
  (recording, { x }, attributes) => {
    const edge = wide(recording, x);
    const asked = (attributes['axis'] ?? attributes['reductionIndices']) as number[];
    const axes = tf.util.parseAxisParam(asked, [...edge.shape]);
    const keepDims = Boolean(attributes['keepDims']);
    const [rest] = tf.backend_util.computeOutAndReduceShapes([...edge.shape], axes);
    const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(rest, axes) : rest;
    const { graph } = recording;
    return add(graph, op, [edge, int32s(graph, axes)], shape, {
      Tidx: typeOf('int32'),
      keep_dims: { kind: 'bool', value: keepDims },
    });
  };

const values: Kernels = {
  Cast: (recording, { x }, { dtype }) => recording.as(x, dtype as GraphType),
  Fill: ({ graph }, _, attributes) => {
    const { shape, value, dtype } = attributes as unknown as Filled;
    const size = tf.util.sizeFromShape(shape);
    const type = dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';
    const array = { int32: Int32Array, bool: Uint8Array, float32: Float32Array }[type];
    return graph.constant(new array(size).fill(value), { shape, type });
  },
  ZerosLike: (recording, { x }) => filledLike(recording, x, 0),
  OnesLike: (recording, { x }) => filledLike(recording, x, 1),
  ClipByValue: (recording, { x }, attributes) => {
    const { graph } = recording;
    const edge = wide(recording, x);
    const limit = (value: unknown): Edge => scalarLike(graph, edge, value as number);
    const below = add(graph, 'Minimum', [edge, limit(attributes['clipValueMax'])], edge.shape);
    return add(graph, 'Maximum', [below, limit(attributes['clipValueMin'])], edge.shape);
  },
  Select: (recording, { condition, t, e }) => {
    const [yes, no] = [wide(recording, t), wide(recording, e)];
    const T = typeOf(yes.type);
    const inputs = [recording.edge(condition), yes, no];
    return add(recording.graph, 'Select', inputs, yes.shape, { T }, yes.type);
  },
};

interface Filled extends KernelAttributes {
  shape: number[];
  value: number;
  dtype?: string;
}

function filledLike({ graph }: Recording, x: KernelInputs[string], value: number): Edge {
  if (x === undefined) throw new Error('a kernel was called without its input');
  const size = tf.util.sizeFromShape(x.shape);
  const output = { shape: x.shape, type: 'float32' } as const;
  return graph.constant(new Float32Array(size).fill(value), output);
}

export const plainKernels: Kernels = {
  Add: sum,
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('RealDiv'),
  Maximum: binary('Maximum'),
  Minimum: binary('Minimum'),
  SquaredDifference: binary('SquaredDifference'),
  Equal: binary('Equal', 'bool'),
  NotEqual: binary('NotEqual', 'bool'),
  Greater: binary('Greater', 'bool'),
  GreaterEqual: binary('GreaterEqual', 'bool'),
  Less: binary('Less', 'bool'),
  LessEqual: binary('LessEqual', 'bool'),
  Neg: unary('Neg'),
  Abs: unary('Abs'),
  Exp: unary('Exp'),
  Log: unary('Log'),
  Sqrt: unary('Sqrt'),
  Rsqrt: unary('Rsqrt'),
  Square: unary('Square'),
  Sign: unary('Sign'),
  Floor: unary('Floor'),
  Sum: reduction('Sum'),
  Mean: reduction('Mean'),
  Max: reduction('Max'),
  Min: reduction('Min'),
  ...values,
};
