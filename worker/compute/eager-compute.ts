/**
 * The compute port, eagerly: each operation runs as it is met, gradients by tfjs's autodiff.
 *
 * This is the readable reference, and what wasm runs. It holds the weights as tensors between
 * leaves and nothing else; every leaf frees what it made, so memory is the same after the
 * thousandth as after the first.
 */
import type { PlacedTensor } from '../../shared/core/weight-layout.ts';
import { tensorBytes, type WeightMemory } from '../../shared/core/weight-memory.ts';
import type {
  Compute,
  DeviceDescription,
  LeafInput,
  LeafOutput,
} from '../../shared/ports/compute.ts';
import { augment, pixelTensor, shapeOf, viewTensors } from './augment.ts';
import {
  expectLength,
  expectLoaded,
  labelsFor,
  payloadFor,
  type Program,
} from './compute-program.ts';
import type { Tensors } from './network.ts';
import { inferFeatures, inferMoments, networkInput, trainingStep } from './step.ts';
import { type Tensor, type Tensor1D, type Tensor4D, tf } from './tfjs.ts';

export function eagerCompute(device: DeviceDescription, program: Program): Compute {
  const { architecture, layout, plan } = program;
  let parameters: Tensors = new Map();
  let statistics: Tensors = new Map();

  return {
    describe: () => device,

    async load(memory) {
      expectLength('bytes of weights', memory, layout.memoryBytes);
      dispose(parameters);
      dispose(statistics);
      parameters = tensorsIn(memory, layout.parameters);
      statistics = tensorsIn(memory, layout.statistics);
    },

    async leaf(input, into) {
      expectLoaded(parameters);
      return trainingLeaf(program, parameters, input, payloadFor(architecture, into));
    },

    async features(pixels, view) {
      expectLoaded(parameters);
      const shape = shapeOf(pixels, view);
      return read(() =>
        inferFeatures(
          plan,
          parameters,
          statistics,
          networkInput(pixelTensor(pixels, shape), viewTensors(view, shape)),
        ),
      );
    },

    async moments(pixels, view) {
      expectLoaded(parameters);
      const shape = shapeOf(pixels, view);
      return read(() => {
        const images = networkInput(pixelTensor(pixels, shape), viewTensors(view, shape));
        const parts = inferMoments(plan, architecture, parameters, images);
        const joined = tf.concat(parts.map((part) => tf.reshape(part, [part.size])));
        // They were kept for a gradient that nobody asks for here.
        tf.dispose(parts);
        return joined;
      });
    },

    async view(pixels, view) {
      const shape = shapeOf(pixels, view);
      return read(() => augment(pixelTensor(pixels, shape), viewTensors(view, shape)));
    },

    async close() {
      dispose(parameters);
      dispose(statistics);
      parameters = new Map();
      statistics = new Map();
    },
  };
}

/** Forward and backward of both views; the result laid out as `LeafOutput` says. */
function trainingLeaf(
  program: Program,
  parameters: Tensors,
  input: LeafInput,
  payload: Float32Array,
): LeafOutput {
  const { objective, architecture } = program;
  const { pixels, view1, view2 } = input;
  const shape = shapeOf(pixels, view1);
  const classes = labelsFor(objective, input.labels, shape.m);
  const output = {
    payload,
    loss: Number.NaN,
    std: Number.NaN,
  };
  // Nothing is returned from here: tidy would look for tensors in each element of the payload.
  tf.tidy(() => {
    const images = pixelTensor(pixels, shape);
    const views: [Tensor4D, Tensor4D] = [
      networkInput(images, viewTensors(view1, shape)),
      networkInput(images, viewTensors(view2, shape)),
    ];
    const labels = classes === null ? null : (tf.tensor1d(classes, 'int32') as Tensor1D);
    const { loss, std, parts } = trainingStep(objective, architecture, parameters, views, labels);
    output.loss = valueOf(loss);
    output.std = valueOf(std);
    let at = 0;
    for (const part of parts) {
      output.payload.set(part.dataSync<'float32'>(), at);
      at += part.size;
    }
    for (const tensor of [loss, std, ...parts]) tensor.dispose();
  });
  return output;
}

function valueOf(scalar: Tensor): number {
  return scalar.dataSync<'float32'>()[0] ?? Number.NaN;
}

/** float32 each: what else there is has no eager step. */
function tensorsIn(memory: WeightMemory, placed: readonly PlacedTensor[]): Tensors {
  const tensors = new Map<string, Tensor>();
  for (const tensor of placed) {
    // A copy: backends may read the values later than now.
    const own = new Float32Array(tensorBytes(memory, tensor).slice().buffer);
    tensors.set(tensor.name, tf.tensor(own, [...tensor.shape], 'float32'));
  }
  return tensors;
}

/** The values of a tensor; everything made on the way is freed. */
function read(make: () => Tensor): Float32Array {
  const tensor = tf.tidy(make);
  const values = tensor.dataSync<'float32'>().slice();
  tensor.dispose();
  return values;
}

function dispose(tensors: Tensors): void {
  for (const tensor of tensors.values()) tensor.dispose();
}
