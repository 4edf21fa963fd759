/**
 * What the recorder's kernels make nodes with.
 */
import type { Attributes, Edge, Graph, GraphType } from './graph.ts';
import { typeOf } from './graph.ts';
import type { KernelInputs, RecordKernel, Recording } from './recording.ts';

export type Kernels = Record<string, RecordKernel>;

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

export function int32(graph: Graph, value: number): Edge {
  return graph.literal(Int32Array.of(value), { shape: [], type: 'int32' });
}

export function cast(graph: Graph, edge: Edge, type: GraphType): Edge {
  if (edge.type === type) return edge;
  return graph.add('Cast', [edge], { SrcT: typeOf(edge.type), DstT: typeOf(type) }, [
    { shape: edge.shape, type },
  ])[0] as Edge;
}

export function reshaped(graph: Graph, edge: Edge, shape: readonly number[]): Edge {
  if (shape.join() === edge.shape.join()) return edge;
  return add(graph, 'Reshape', [edge, int32s(graph, shape)], shape, { Tshape: typeOf('int32') });
}

/** Zeros around the images x [n, h, w, c]: before and after the rows, and the columns. */
export function padded(
  graph: Graph,
  x: Edge,
  rows: readonly [number, number],
  columns: readonly [number, number],
): Edge {
  const sides = [[0, 0], rows, columns, [0, 0]] as const;
  if (sides.flat().every((side) => side === 0)) return x;
  const paddings = graph.literal(Int32Array.from(sides.flat()), { shape: [4, 2], type: 'int32' });
  const zero = graph.literal(Float32Array.of(0), { shape: [], type: 'float32' });
  const shape = x.shape.map((side, axis) => side + sides[axis]![0] + sides[axis]![1]);
  return add(graph, 'PadV2', [x, paddings, cast(graph, zero, x.type)], shape, {
    Tpaddings: typeOf('int32'),
  });
}

/** float32 for numbers with a fraction, else what the tensor is. */
export function wide(recording: Recording, tensor: KernelInputs[string]): Edge {
  const edge = recording.edge(tensor);
  return edge.type === 'bfloat16' ? recording.as(tensor, 'float32') : edge;
}

/** A scalar constant of the edge's type. */
export function scalarLike(graph: Graph, edge: Edge, value: number): Edge {
  if (edge.type === 'int32') return int32(graph, value);
  return cast(
    graph,
    graph.constant(Float32Array.of(value), { shape: [], type: 'float32' }),
    edge.type,
  );
}
