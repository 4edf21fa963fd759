/**
 * Records a program in plain tfjs, gradients by tfjs's own autodiff included, as one TensorFlow
 * graph: while it runs, tfjs's backend is one that adds a node where another would compute.
 *
 * There are three such backends: without our fused kernels, with them, and with what is quicker on a
 * CPU besides; the program asks for a fused kernel only where the backend has it (`hasKernel`).
 */
import { tf } from '../tfjs.ts';
import { cpuKernels } from './kernels-filter-gradient.ts';
import { fusedKernels } from './kernels-fused.ts';
import { networkKernels } from './kernels-network.ts';
import { plainKernels } from './kernels-plain.ts';
import { shapeKernels } from './kernels-shape.ts';
import { Recorder } from './recorder-backend.ts';
import type {
  KernelAttributes,
  KernelInputs,
  RecordKernel,
  Recording,
  RecordOptions,
} from './recording.ts';

/** Runs `program` with every tfjs operation recorded. Not reentrant; `program` is synchronous. */
export function record<T>(options: RecordOptions, program: (recording: Recording) => T): T {
  registerRecorders();
  const before = tf.getBackend();
  const name = recorderName(options);
  // The promise is settled already: a recorder starts at once.
  void tf.setBackend(name);
  if (tf.getBackend() !== name) throw new Error('the recorder did not start at once');
  const backend = tf.backend() as Recorder;
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

function recorderName({ fused, cpu }: RecordOptions): string {
  if (!fused) return 'recorder-composed';
  return cpu ? 'recorder-fused-cpu' : 'recorder-fused';
}

let registered = false;

function registerRecorders(): void {
  if (registered) return;
  registered = true;
  const common = { ...plainKernels, ...shapeKernels, ...networkKernels };
  for (const [backendName, kernels] of Object.entries({
    'recorder-composed': common,
    'recorder-fused': { ...common, ...fusedKernels },
    'recorder-fused-cpu': { ...common, ...fusedKernels, ...cpuKernels },
  })) {
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
  // With source maps tfjs's own frames name its sources, which lie in no node_modules.
  const foreign =
    /node_modules|\btfjs[\w-]*\/src\/|compute\/compiled\/(record|kernels|nodes|graph)|compute\/tfjs\./;
  return (lines.find((line) => !foreign.test(line)) ?? 'an unknown line').trim();
}
