/**
 * The compute port's one entrance: backend, mode and precision to an implementation.
 *
 * `compiled` records the step once and runs it as one TensorFlow graph; `eager` runs each operation
 * as it is met. Wasm has no graphs, so there eager is all there is.
 */
import { type NetworkPlan, networkPlan } from '../../shared/core/architecture.ts';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Backend, Method } from '../../shared/core/method.ts';
import { weightLayout } from '../../shared/core/weight-layout.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import { useTensorflow } from './backend-tensorflow.ts';
import { useWasm } from './backend-wasm.ts';
import { compiledCompute } from './compiled/compiled-compute.ts';
import { defaultGraphFolder } from './compiled/graph-folder.ts';
import { eagerCompute } from './eager-compute.ts';
import { cpuFlags, precisionRefusal } from './precision.ts';
import type { Objective } from './objective.ts';
import { objectiveOf } from './objectives.ts';

export interface ComputeOptions {
  backend: Backend;
  method: Method;
  architecture: Architecture;
  /** The network to run; by default the method's model. It must fit the architecture. */
  plan?: NetworkPlan;
  /** What is trained for; by default the method's. (A thread takes only the default.) */
  objective?: Objective;
  /** By default `compiled` on TensorFlow, `eager` on wasm. */
  mode?: 'compiled' | 'eager';
  /** Compiled: batch norm and ReLU's gradient by TensorFlow's fused kernels. Default true. */
  fused?: boolean;
  /** Where compiled graphs are kept, for the next process too; by default the user's cache. */
  graphFolder?: string;
}

/** Loads the backend into this thread. Rejects with `backend-missing` where it cannot. */
export async function createCompute(options: ComputeOptions): Promise<Compute> {
  const { backend, method, architecture } = options;
  const mode = options.mode ?? (backend === 'tensorflow' ? 'compiled' : 'eager');
  const plan = options.plan ?? networkPlan(method.model, method.classes?.length);
  const program = {
    architecture,
    plan,
    objective: options.objective ?? objectiveOf(method, plan),
    layout: weightLayout(architecture, method.precision),
  };
  if (mode === 'compiled' && backend === 'wasm') {
    throw new Failure(
      'backend-missing',
      'Expected TensorFlow for a compiled step, found wasm. Take --backend tensorflow, or eager.',
    );
  }
  const device = backend === 'tensorflow' ? await useTensorflow() : await useWasm();
  const refusal = precisionRefusal(method.precision, device, mode, cpuFlags());
  if (refusal !== null) throw new Failure('backend-missing', refusal);
  if (mode === 'eager') return eagerCompute({ ...device, mode }, program);
  return compiledCompute({ ...device, mode }, program, {
    record: {
      fused: options.fused ?? true,
      cpu: device.device === 'CPU',
      precision: method.precision === 'bf16' ? 'bf16' : 'f32',
    },
    graphFolder: options.graphFolder ?? defaultGraphFolder(),
  });
}
