/**
 * TensorFlow through tfjs-node-gpu: loaded on demand, in exactly one thread of the process.
 *
 * The package reads libtensorflow's version from its C API and the device it really uses; where
 * CUDA is missing it falls back to the CPU in silence, so the device is reported, never assumed.
 * Thread counts come from the environment of the *process* (see environment.ts).
 */
import { createRequire } from 'node:module';
import { Failure } from '../../shared/core/failures.ts';
import type { DeviceDescription } from '../../shared/ports/compute.ts';
import { tf } from './tfjs.ts';

const require = createRequire(import.meta.url);

interface NodeBackend {
  binding: { TF_Version: string };
  isUsingGpuDevice: boolean;
}

/** Makes TensorFlow the backend of this thread. Rejects with `backend-missing`. */
export async function useTensorflow(): Promise<DeviceDescription> {
  restoreRemovedUtilities();
  try {
    require('@tensorflow/tfjs-node-gpu');
  } catch (cause) {
    const found = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new Failure(
      'backend-missing',
      `Expected TensorFlow's addon (tfjs-node-gpu), found: ${found}. ` +
        'Run `npm run setup`, or take --backend wasm.',
      { cause },
    );
  }
  await tf.setBackend('tensorflow');
  const backend = tf.backend() as unknown as NodeBackend;
  return {
    backend: 'tensorflow',
    device: backend.isUsingGpuDevice ? 'GPU' : 'CPU',
    version: backend.binding.TF_Version,
    intraOpThreads: Number(process.env['TF_NUM_INTRAOP_THREADS'] ?? 0),
    interOpThreads: Number(process.env['TF_NUM_INTEROP_THREADS'] ?? 0),
  };
}

/** tfjs-node calls functions of `util` that Node 23 removed. */
function restoreRemovedUtilities(): void {
  const util = require('node:util') as Record<string, unknown>;
  const removed: Record<string, (value: unknown) => boolean> = {
    isNullOrUndefined: (value) => value === null || value === undefined,
    isArray: (value) => Array.isArray(value),
  };
  for (const [name, replacement] of Object.entries(removed)) util[name] ??= replacement;
}
