/**
 * The worker's programs (step.ts) as graphs: placeholders for what is fed, one record of the
 * program, the edges that are fetched.
 *
 * A graph has one shape: m images, their canvas and size, and whether a view is blurred.
 */
import { colourColumns, type ViewInput } from '../../../shared/core/view.ts';
import type { PlacedTensor } from '../../../shared/core/weight-layout.ts';
import { augment, type CanvasShape, type ViewTensors } from '../augment.ts';
import type { Program } from '../compute-program.ts';
import type { Tensors } from '../network.ts';
import { inferFeatures, inferMoments, networkInput, trainingStep } from '../step.ts';
import { type Tensor, type Tensor1D, type Tensor4D, tf } from '../tfjs.ts';
import { flat, pieces } from './fetched.ts';
import { type Edge, type GraphType, typeOf } from './graph.ts';
import { record } from './recorder.ts';
import type { Recording, RecordOptions } from './recording.ts';
import { openSession, type Session } from './session.ts';

export interface GraphOptions {
  record: RecordOptions;
  /** Where graphs are kept on disk. */
  graphFolder: string;
}

/** Fetches [loss, std], then the payload in pieces, in order. */
export function openLeaf(
  { objective, architecture, layout }: Program,
  shape: CanvasShape,
  blurred: readonly [boolean, boolean],
  options: GraphOptions,
): Session {
  return open(options, (recording) => {
    const pixels = pixelsOf(recording, shape);
    const view1 = viewOf(recording, 'view1', shape, blurred[0]);
    const view2 = viewOf(recording, 'view2', shape, blurred[1]);
    const { loss, std, parts } = trainingStep(
      objective,
      architecture,
      weightsOf(recording, layout.parameters),
      recording.inFloat32(() => [networkInput(pixels, view1), networkInput(pixels, view2)]),
      objective.labelled ? labelsOf(recording, shape) : null,
    );
    const fetched = [flat(recording, [loss, std]), ...pieces(recording, parts)];
    tf.dispose([loss, std, ...parts]);
    return fetched;
  });
}

/** Fetches [n, featureWidth]. */
export function openFeatures(
  { plan, layout }: Program,
  shape: CanvasShape,
  blurred: boolean,
  options: GraphOptions,
): Session {
  return openView1(options, shape, blurred, (recording, images) => {
    const parameters = weightsOf(recording, layout.parameters);
    const statistics = weightsOf(recording, layout.statistics);
    return recording.as(inferFeatures(plan, parameters, statistics, images), 'float32');
  });
}

/** Fetches [statisticCount]. */
export function openMoments(
  { plan, architecture, layout }: Program,
  shape: CanvasShape,
  blurred: boolean,
  options: GraphOptions,
): Session {
  return openView1(options, shape, blurred, (recording, images) => {
    const parameters = weightsOf(recording, layout.parameters);
    const moments = inferMoments(plan, architecture, parameters, images);
    const fetched = flat(recording, moments);
    tf.dispose(moments);
    return fetched;
  });
}

/** A program of one view: its network input is made first. */
function openView1(
  options: GraphOptions,
  shape: CanvasShape,
  blurred: boolean,
  program: (recording: Recording, images: Tensor4D) => Edge,
): Session {
  return open(options, (recording) => {
    const pixels = pixelsOf(recording, shape);
    const view = viewOf(recording, 'view1', shape, blurred);
    return [
      program(
        recording,
        recording.inFloat32(() => networkInput(pixels, view)),
      ),
    ];
  });
}

/** Fetches [m, size, size, 3]. */
export function openView(shape: CanvasShape, blurred: boolean, options: GraphOptions): Session {
  return open(options, (recording) => {
    const pixels = pixelsOf(recording, shape);
    const view = viewOf(recording, 'view1', shape, blurred);
    return [recording.edge(recording.inFloat32(() => augment(pixels, view)))];
  });
}

/** What is fed for one view: arrays, their names and shapes. */
export function viewFeeds(
  name: string,
  view: { [part in 'rows' | 'columns' | 'colour']: ViewInput[part] | null } & {
    blur: ViewInput['blur'] | { rows: null; columns: null };
  },
  { m, canvas, size }: CanvasShape,
): { name: string; values: Float32Array | null; shape: number[] }[] {
  const fed = (part: string, values: Float32Array | null, shape: number[]) => ({
    name: `${name}/${part}`,
    values,
    shape,
  });
  const { rows, columns, colour, blur } = view;
  return [
    fed('rows', rows, [m, size, canvas]),
    fed('columns', columns, [m, size, canvas]),
    fed('colour', colour, [m, colourColumns.length]),
    ...(blur === null
      ? []
      : [
          fed('blurRows', blur.rows, [m, size, size]),
          fed('blurColumns', blur.columns, [m, size, size]),
        ]),
  ];
}

function open(options: GraphOptions, program: (recording: Recording) => Edge[]): Session {
  const { graph, fetched } = record(options.record, (recording) => ({
    graph: recording.graph,
    fetched: program(recording),
  }));
  return openSession(graph, fetched, options.graphFolder);
}

function placeholder(
  recording: Recording,
  name: string,
  type: GraphType,
  shape: readonly number[],
): Tensor {
  return tensorOfEdge(recording, recording.graph.placeholder(name, type, shape));
}

const tensorOfEdge = (recording: Recording, edge: Edge): Tensor =>
  tf.engine().makeTensorFromTensorInfo(recording.tensor(edge));

function weightsOf(recording: Recording, placed: readonly PlacedTensor[]): Tensors {
  return new Map(placed.map((tensor) => [tensor.name, weightOf(recording, tensor)]));
}

/** As `loaded-weights.ts` feeds it. */
function weightOf(recording: Recording, { name, shape, type }: PlacedTensor): Tensor {
  if (type === 'float32') return placeholder(recording, name, type, shape);
  const { graph } = recording;
  const bytes = graph.placeholder(name, 'uint8', [...shape, 2]);
  const attributes = { T: typeOf('uint8'), type: typeOf(type) };
  const [numbers] = graph.add('Bitcast', [bytes], attributes, [{ shape, type }]);
  return tensorOfEdge(recording, numbers as Edge);
}

function labelsOf(recording: Recording, { m }: CanvasShape): Tensor1D {
  return placeholder(recording, 'labels', 'int32', [m]) as Tensor1D;
}

/** Bytes are fed; the program sees numbers. */
function pixelsOf(recording: Recording, { m, canvas }: CanvasShape): Tensor4D {
  const bytes = placeholder(recording, 'pixels', 'uint8', [m, canvas, canvas, 3]);
  return tensorOfEdge(recording, recording.as(bytes, 'float32')) as Tensor4D;
}

function viewOf(
  recording: Recording,
  name: string,
  shape: CanvasShape,
  blurred: boolean,
): ViewTensors {
  const none = { rows: null, columns: null, colour: null };
  const feeds = viewFeeds(name, { ...none, blur: blurred ? none : null }, shape);
  const [rows, columns, colour, blurRows, blurColumns] = feeds.map((fed) =>
    placeholder(recording, fed.name, 'float32', fed.shape),
  );
  const blur = blurred ? { rows: blurRows, columns: blurColumns } : null;
  return { rows, columns, colour, blur } as ViewTensors;
}
