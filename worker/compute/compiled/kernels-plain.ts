/**
 * Kernels of the recorder that know nothing of networks: elementwise, reductions, shapes.
 *
 * Each adds the operation that tfjs-node runs for the same kernel, so that a recorded step has the
 * bits of the eager one. In bf16, an operation that only moves or compares values keeps its
 * input's type; sums and everything with a rounding of its own are done in float32.
 */
import { tf } from '../tfjs.ts';
import type { Attributes, Edge, Graph, GraphType } from './graph.ts';
import { typeOf } from './graph.ts';
import type { KernelAttributes, KernelInputs, RecordKernel, Recording } from './recorder.ts';

type Kernels = Record<string, RecordKernel>;

/** One output, of the first input's type unless said otherwise. */
export function add(
  graph: Graph,
  op: string,
  inputs: readonly Edge[],
  shape: readonly number[],
  attributes: Attributes = {},
  type: GraphType = inputs[0]?.type ?? 'float32',
): Edge {
  const T = typeOf(inputs[0]?.type ?? type);
  return graph.add(op, inputs, { T, ...attributes }, [{ shape, type }])[0] as Edge;
}

export function int32s(graph: Graph, values: readonly number[]): Edge {
  return graph.literal(Int32Array.from(values), { shape: [values.length], type: 'int32' });
}

function int32(graph: Graph, value: number): Edge {
  return graph.literal(Int32Array.of(value), { shape: [], type: 'int32' });
}

export function cast(graph: Graph, edge: Edge, type: GraphType): Edge {
  if (edge.type === type) return edge;
  return graph.add('Cast', [edge], { SrcT: typeOf(edge.type), DstT: typeOf(type) }, [{ shape: edge.shape, type }])[0] as Edge;
}

/** float32 for numbers with a fraction, else what the tensor is. */
function wide(recording: Recording, tensor: KernelInputs[string]): Edge {
  const edge = recording.edge(tensor);
  return edge.type === 'bfloat16' ? recording.as(tensor, 'float32') : edge;
}

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

const shapes: Kernels = {
  Identity: (recording, { x }) => recording.edge(x),
  Reshape: ({ graph, edge }, { x }, { shape }) => {
    const from = edge(x);
    const size = tf.util.sizeFromShape([...from.shape]);
    const to = tf.util.inferFromImplicitShape(shape as number[], size);
    if (to.join() === from.shape.join()) return from;
    return add(graph, 'Reshape', [from, int32s(graph, to)], to, { Tshape: typeOf('int32') });
  },
  Transpose: ({ graph, edge }, { x }, attributes) => {
    const from = edge(x);
    const perm = attributes['perm'] as number[];
    const shape = perm.map((axis) => from.shape[axis] as number);
    return add(graph, 'Transpose', [from, int32s(graph, perm)], shape, { Tperm: typeOf('int32') });
  },
  Tile: ({ graph, edge }, { x }, attributes) => {
    const from = edge(x);
    const reps = attributes['reps'] as number[];
    const shape = from.shape.map((side, axis) => side * (reps[axis] ?? 1));
    return add(graph, 'Tile', [from, int32s(graph, reps)], shape, { Tmultiples: typeOf('int32') });
  },
  PadV2: ({ graph, edge, as }, { x }, attributes) => {
    const value = attributes['constantValue'] as number;
    const from = value === 0 ? edge(x) : as(x, 'float32');
    const paddings = attributes['paddings'] as [number, number][];
    const shape = from.shape.map((side, axis) => side + sumOf(paddings[axis] ?? []));
    const sides = graph.literal(Int32Array.from(paddings.flat()), {
      shape: [paddings.length, 2],
      type: 'int32',
    });
    const zero = graph.literal(Float32Array.of(value), { shape: [], type: 'float32' });
    const filled = cast(graph, zero, from.type);
    return add(graph, 'PadV2', [from, sides, filled], shape, { Tpaddings: typeOf('int32') });
  },
  Slice: ({ graph, edge }, { x }, attributes) => {
    const from = edge(x);
    const [begin, size] = tf.slice_util.parseSliceParams(
      x as Parameters<typeof tf.slice_util.parseSliceParams>[0],
      attributes['begin'] as number[],
      attributes['size'] as number[],
    ) as [number[], number[]];
    const inputs = [from, int32s(graph, begin), int32s(graph, size)];
    return add(graph, 'Slice', inputs, size, { Index: typeOf('int32') });
  },
  Concat: (recording, inputs, attributes) => {
    const edges = Object.values(inputs).map((tensor) => wide(recording, tensor));
    const first = edges[0] as Edge;
    const axis = tf.util.parseAxisParam(attributes['axis'] as number, [...first.shape])[0] ?? 0;
    const side = edges.reduce((total, edge) => total + (edge.shape[axis] ?? 0), 0);
    const shape = first.shape.map((own, at) => (at === axis ? side : own));
    const { graph } = recording;
    return add(graph, 'ConcatV2', [...edges, int32(graph, axis)], shape, {
      N: { kind: 'int', value: edges.length },
      Tidx: typeOf('int32'),
    });
  },
  SplitV: (recording, { x }, attributes) => {
    const { graph } = recording;
    const from = recording.edge(x);
    const axis = tf.util.parseAxisParam(attributes['axis'] as number, [...from.shape])[0] ?? 0;
    const asked = attributes['numOrSizeSplits'] as number | number[];
    const sizes = Array.isArray(asked)
      ? asked
      : new Array<number>(asked).fill((from.shape[axis] as number) / asked);
    return graph.add(
      'SplitV',
      [from, int32s(graph, sizes), int32(graph, axis)],
      {
        T: typeOf(from.type),
        Tlen: typeOf('int32'),
        num_split: { kind: 'int', value: sizes.length },
      },
      sizes.map((size) => ({
        shape: from.shape.map((side, at) => (at === axis ? size : side)),
        type: from.type,
      })),
    );
  },
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

/** A scalar constant of the edge's type. */
function scalarLike(graph: Graph, edge: Edge, value: number): Edge {
  if (edge.type === 'int32') return int32(graph, value);
  return cast(graph, graph.constant(Float32Array.of(value), { shape: [], type: 'float32' }), edge.type);
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
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
  ...shapes,
  ...values,
};
