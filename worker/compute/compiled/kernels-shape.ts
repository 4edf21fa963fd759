/**
 * Kernels of the recorder that move values: shapes, slices, padding. In bf16 they keep the type of
 * what they move.
 */
import { tf } from '../tfjs.ts';
import { type Edge, typeOf } from './graph.ts';
import { add, cast, int32, int32s, type Kernels, reshaped, wide } from './nodes.ts';

export const shapeKernels: Kernels = {
  Identity: (recording, { x }) => recording.edge(x),
  Reshape: ({ graph, edge }, { x }, { shape }) => {
    const from = edge(x);
    const size = tf.util.sizeFromShape([...from.shape]);
    const to = tf.util.inferFromImplicitShape(shape as number[], size);
    return reshaped(graph, from, to);
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

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
