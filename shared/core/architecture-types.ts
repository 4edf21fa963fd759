/**
 * What the coordinator must know of a network without TensorFlow: names, shapes, first values.
 *
 * Parameters and statistics are each laid end to end in one flat f32 vector, sorted by name
 * (bytewise). Convolution filters are [height, width, in, out], dense weights [in, out].
 */

export type Initial =
  /** Normal, mean 0, standard deviation √(2 / fanOut) (torchvision's ResNet convolutions). */
  | { kind: 'kaiming-normal-fan-out'; fanOut: number }
  /** Uniform in ±1/√fanIn (PyTorch's Linear, weight and bias). */
  | { kind: 'uniform-fan-in'; fanIn: number }
  | { kind: 'constant'; value: number };

export interface TensorSpec {
  name: string;
  shape: readonly number[];
  /** First element in the flat vector, elements. */
  offset: number;
  /** Number of elements. */
  length: number;
  initial: Initial;
}

export interface Architecture {
  /** Width of the pooled feature vector. */
  featureWidth: number;
  /** Width d of z and p. */
  outputWidth: number;
  /** Trained tensors, by name. */
  parameters: readonly TensorSpec[];
  /** Elements of all parameters. */
  parameterCount: number;
  /** `running_mean` and `running_var` of each batch norm, by name. */
  statistics: readonly TensorSpec[];
  statisticCount: number;
}

/** Elements of a leaf's payload: gradient, then moments of view 1 and of view 2. */
export const payloadElements = (
  a: Pick<Architecture, 'parameterCount' | 'statisticCount'>,
): number => a.parameterCount + 2 * a.statisticCount;
