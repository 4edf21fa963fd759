/**
 * What the recorder's parts agree on: how a program is recorded, and what a kernel sees of it.
 *
 * A tensor is float32 to the program; in the graph it may be bfloat16: a kernel says which type it
 * takes, and a cast comes between where they differ.
 */
import type { TensorInfo } from '../tfjs.ts';
import type { Edge, Graph, GraphType } from './graph.ts';

export interface RecordOptions {
  /** Batch norm and ReLU's gradient as one node each, or composed as in the eager program. */
  fused: boolean;
  /** Fused, and on a CPU: some weight gradients by matrix products (kernels-filter-gradient.ts). */
  cpu: boolean;
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
