/**
 * A tfjs backend that computes nothing: each kernel adds a node to a graph, so a program in plain
 * tfjs, gradients by tfjs's own autodiff included, becomes one TensorFlow graph.
 *
 * A tensor is float32 to the program; in the graph it may be bfloat16 (see precision in
 * `RecordOptions`): a kernel says which type it takes, and a cast comes between where they differ.
 */
import { type TensorInfo, tf } from '../tfjs.ts';
import type { Edge, Graph, GraphType } from './graph.ts';
import { newGraph } from './graph.ts';
import { fusedKernels } from './kernels-fused.ts';
import { networkKernels } from './kernels-network.ts';
import { cast, plainKernels } from './kernels-plain.ts';

export interface RecordOptions {
  /** Batch norm and ReLU's gradient as one node each, or composed as in the eager program. */
  fused: boolean;
  /** `bf16`: convolutions and matrix products, and what lies between them, in bfloat16. */
  precision: 'f32' | 'bf16';
}

export type KernelInputs = Readonly<Record<string, TensorInfo | undefined>>;
export type KernelAttributes = Readonly<Record<string, unknown>>;
export type RecordKernel = (
  recording: Recording,
  inputs: KernelInputs,
  attributes: KernelAttributes,
) => Edge | Edge[];

/** What kernels see of the recording in progress. */
export interface Recording {
  graph: Graph;
  /** The type in which convolutions and matrix products take their inputs, now. */
  productType(): 'float32' | 'bfloat16';
  /** Runs a part of the program in float32 throughout. */
  inFloat32<T>(part: () => T): T;
  /** The tensor's edge, in whatever type it is. */
  edge(tensor: TensorInfo | undefined): Edge;
  /** The tensor's edge in this type. */
  as(tensor: TensorInfo | undefined, type: GraphType): Edge;
  /** A tensor of the program for an edge of the graph. */
  tensor(edge: Edge): TensorInfo;
}

/** Runs `program` with every tfjs operation recorded. Not reentrant; `program` is synchronous. */
export function record<T>(options: RecordOptions, program: (recording: Recording) => T): T {
  registerRecorders();
  const before = tf.getBackend();
  const name = recorderName(options.fused);
  // The promise is settled already: a recorder starts at once.
  void tf.setBackend(name);
  if (tf.getBackend() !== name) throw new Error('the recorder did not start at once');
  const backend = tf.backend() as unknown as Recorder;
  backend.begin(options);
  try {
    let result: { value: T } | undefined;
    // Nothing is returned from here: tidy would take a list of tensors for its own to keep.
    tf.tidy(() => {
      result = { value: program(backend.recording()) };
    });
    return (result as { value: T }).value;
  } finally {
    void tf.setBackend(before);
  }
}

const recorderName = (fused: boolean): string => (fused ? 'recorder' : 'recorder-composed');

/** What the backend holds of a tensor: values of the program, until a kernel needs an edge. */
interface Held {
  edge?: Edge;
  values?: Float32Array | Int32Array | Uint8Array;
}

class Recorder extends tf.KernelBackend {
  private held = new WeakMap<object, Held>();
  private count = 0;
  private current: Recording | undefined;

  begin(options: RecordOptions): void {
    const graph = newGraph();
    this.held = new WeakMap();
    this.count = 0;
    const edge = (tensor: TensorInfo | undefined): Edge => this.edgeOf(graph, tensor);
    let productType: 'float32' | 'bfloat16' = options.precision === 'bf16' ? 'bfloat16' : 'float32';
    this.current = {
      graph,
      productType: () => productType,
      inFloat32: (part) => {
        const outside = productType;
        productType = 'float32';
        try {
          return part();
        } finally {
          productType = outside;
        }
      },
      edge,
      as: (tensor, type) => cast(graph, edge(tensor), type),
      tensor: (edge) => {
        const dataId = this.hold({ edge });
        return { dataId, shape: [...edge.shape], dtype: dtypeOf(edge.type) };
      },
    };
  }

  recording(): Recording {
    if (this.current === undefined) throw new Error('a recorder was used outside of record()');
    return this.current;
  }

  private edgeOf(graph: Graph, tensor: TensorInfo | undefined): Edge {
    if (tensor === undefined) throw new Error('a kernel was called without its input');
    const held = this.held.get(tensor.dataId);
    if (held === undefined) throw new Error('a tensor of an earlier recording was used');
    if (held.edge === undefined) {
      const type = tensor.dtype as GraphType;
      if (held.values === undefined) throw new Error('a tensor was made without values');
      held.edge = graph.constant(held.values, { shape: tensor.shape, type });
    }
    // A reshaped clone shares the data but not the shape.
    return { ...held.edge, shape: tensor.shape };
  }

  private hold(held: Held): object {
    const dataId = {};
    this.held.set(dataId, held);
    this.count += 1;
    return dataId;
  }

  override write(values: unknown, _shape: number[], dtype: string): object {
    return this.hold({ values: typed(values as ArrayLike<number>, dtype) });
  }

  override move(dataId: object, values: unknown, _shape: number[], dtype: string): void {
    this.held.set(dataId, { values: typed(values as ArrayLike<number>, dtype) });
  }

  override readSync(): never {
    throw new Error('Expected a step that reads no values while it is recorded, found a read.');
  }

  override read(): never {
    return this.readSync();
  }

  override numDataIds(): number {
    return this.count;
  }

  override refCount(): number {
    return 1;
  }

  override incRef(): void {}

  override disposeData(): boolean {
    this.count -= 1;
    return true;
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }
}

/** bool and int32 come as other arrays now and then. */
function typed(values: ArrayLike<number>, dtype: string): Float32Array | Int32Array | Uint8Array {
  if (dtype === 'int32') return Int32Array.from(values);
  if (dtype === 'bool') return Uint8Array.from(values);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

function dtypeOf(type: GraphType): TensorInfo['dtype'] {
  if (type === 'int32' || type === 'bool') return type;
  return 'float32';
}

let registered = false;

function registerRecorders(): void {
  if (registered) return;
  registered = true;
  const common = { ...plainKernels, ...networkKernels };
  for (const [fused, kernels] of [
    [true, { ...common, ...fusedKernels }],
    [false, common],
  ] as const) {
    const backendName = recorderName(fused);
    tf.registerBackend(backendName, () => new Recorder(), 0);
    for (const [kernelName, kernel] of Object.entries(kernels)) {
      register(backendName, kernelName, kernel);
    }
    for (const kernelName of allKernelNames()) {
      if (kernelName in kernels) continue;
      register(backendName, kernelName, () => {
        throw new Error(
          `Expected an operation that the compiled step knows, found ${kernelName} in ` +
            `${callingLine()}. Add it to worker/compute/compiled/kernels-*.ts, or compute eagerly.`,
        );
      });
    }
  }
}

function register(backendName: string, kernelName: string, kernel: RecordKernel): void {
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const recording = (backend as unknown as Recorder).recording();
      const made = kernel(recording, inputs as KernelInputs, attrs as KernelAttributes);
      return Array.isArray(made) ? made.map(recording.tensor) : recording.tensor(made);
    },
  });
}

/** tfjs exports the name of each of its kernels as a constant of that name (`tf.Acos`). */
function allKernelNames(): string[] {
  const entries = Object.entries(tf as unknown as Record<string, unknown>);
  return entries.filter(([name, value]) => value === name).map(([name]) => name);
}

/** The innermost line of the program that is neither tfjs's nor the recorder's. */
function callingLine(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60; // tfjs's own calls are many
  const lines = new Error().stack?.split('\n').slice(1) ?? [];
  Error.stackTraceLimit = limit;
  const foreign = /node_modules|compute\/compiled\/(recorder|kernels)|compute\/tfjs\./;
  return (lines.find((line) => !foreign.test(line)) ?? 'an unknown line').trim();
}
