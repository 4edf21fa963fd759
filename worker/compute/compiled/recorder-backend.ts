/**
 * The recorder as tfjs sees it: a backend whose tensors are edges of a graph and whose kernels
 * compute nothing.
 */
import { type TensorInfo, tf } from '../tfjs.ts';
import { type Edge, type Graph, type GraphType, newGraph } from './graph.ts';
import { cast } from './nodes.ts';
import type { Recording, RecordOptions } from './recording.ts';

/** What the backend holds of a tensor: values of the program, until a kernel needs an edge. */
interface Held {
  edge?: Edge;
  values?: Float32Array | Int32Array | Uint8Array;
}

export class Recorder extends tf.KernelBackend {
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
