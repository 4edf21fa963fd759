/**
 * The compute port, eagerly: each operation runs as it is met, gradients by tfjs's autodiff.
 *
 * This is the readable reference. It holds the weights as tensors between leaves and nothing else;
 * every leaf frees what it made, so memory is the same after the thousandth as after the first.
 */
import {
  type NetworkPlan,
  networkPlan,
} from '../../shared/core/architecture.ts';
import type { Architecture, TensorSpec } from '../../shared/core/architecture-types.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Backend, Method } from '../../shared/core/method.ts';
import type { Compute, DeviceDescription, LeafInput, LeafOutput } from '../../shared/ports/compute.ts';
import { makeView, standardise } from './augment.ts';
import { useTensorflow } from './backend-tensorflow.ts';
import { useWasm } from './backend-wasm.ts';
import { simSiam } from './model.ts';
import { type Moments, type Network, type Tensors, tensorOf } from './network.ts';
import type { Objective } from './objective.ts';
import { resnet } from './resnet.ts';
import { type Tensor, tf } from './tfjs.ts';

export interface ComputeOptions {
  backend: Backend;
  method: Method;
  architecture: Architecture;
  /** The network to run; by default the method's model. It must fit the architecture. */
  plan?: NetworkPlan;
  /** What is trained for; by default SimSiam. (A thread takes only the default.) */
  objective?: Objective;
}

/** Loads the backend into this thread. Rejects with `backend-missing` where it cannot. */
export async function createCompute(options: ComputeOptions): Promise<Compute> {
  const { backend, method, architecture } = options;
  const plan = options.plan ?? networkPlan(method.model);
  const objective = options.objective ?? simSiam(plan);
  const device: DeviceDescription =
    backend === 'tensorflow' ? await useTensorflow() : await useWasm();
  let parameters: Tensors = new Map();
  let statistics: Tensors = new Map();

  return {
    describe: () => device,

    async load(weights, runningStatistics) {
      expectLength('weights', weights, architecture.parameterCount);
      expectLength('running statistics', runningStatistics, architecture.statisticCount);
      dispose(parameters);
      dispose(statistics);
      parameters = unflatten(architecture.parameters, weights);
      statistics = unflatten(architecture.statistics, runningStatistics);
    },

    async leaf(input) {
      expectLoaded(parameters);
      return trainingLeaf(objective, architecture, parameters, input);
    },

    async features(pixels, view) {
      expectLoaded(parameters);
      const network: Network = { parameters, mode: { kind: 'inference', statistics } };
      return read(() => resnet(network, plan, standardise(makeView(pixels, view))));
    },

    async view(pixels, view) {
      return read(() => makeView(pixels, view));
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
  objective: Objective,
  architecture: Architecture,
  parameters: Tensors,
  input: LeafInput,
): LeafOutput {
  const moments: [Moments, Moments] = [new Map(), new Map()];
  const { parameterCount, statisticCount } = architecture;
  const output = {
    payload: new Float32Array(parameterCount + 2 * statisticCount),
    loss: Number.NaN,
    std: Number.NaN,
  };
  // Nothing is returned from here: tidy would look for tensors in each element of the payload.
  tf.tidy(() => {
    const view1 = standardise(makeView(input.pixels, input.view1));
    const view2 = standardise(makeView(input.pixels, input.view2));
    const trained = architecture.parameters.map((spec) => tensorOf(parameters, spec.name));
    const differentiate = tf.valueAndGrads(() => {
      const { loss, std } = objective.forward(parameters, [view1, view2], moments);
      output.std = valueOf(std);
      return loss;
    });
    const { value: loss, grads } = differentiate(trained);
    output.loss = valueOf(loss);
    for (const [i, spec] of architecture.parameters.entries()) {
      write(output.payload, spec.offset, spec, grads[i]);
    }
  });
  for (const [i, ofView] of moments.entries()) {
    const start = parameterCount + i * statisticCount;
    for (const spec of architecture.statistics) {
      write(output.payload, start + spec.offset, spec, ofView.get(spec.name));
    }
    dispose(ofView);
  }
  return output;
}

function write(into: Float32Array, at: number, spec: TensorSpec, tensor: Tensor | undefined): void {
  if (tensor === undefined || tensor.size !== spec.length) {
    throw new Error(`${spec.name}: expected ${spec.length} values, found ${tensor?.size ?? 'none'}`);
  }
  into.set(tensor.dataSync<'float32'>(), at);
}

function valueOf(scalar: Tensor): number {
  return scalar.dataSync<'float32'>()[0] ?? Number.NaN;
}

function unflatten(specs: readonly TensorSpec[], values: Float32Array): Tensors {
  const tensors = new Map<string, Tensor>();
  for (const { name, shape, offset, length } of specs) {
    // A copy: backends may read the values later than now.
    const own = values.slice(offset, offset + length);
    tensors.set(name, tf.tensor(own, [...shape], 'float32'));
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

function expectLoaded(parameters: Tensors): void {
  if (parameters.size > 0) return;
  throw new Failure('internal', 'Expected weights to be loaded before a leaf, found none.');
}

function expectLength(what: string, values: Float32Array, expected: number): void {
  if (values.length === expected) return;
  throw new Failure(
    'internal',
    `Expected ${expected} ${what}, found ${values.length}: they belong to another model.`,
  );
}
