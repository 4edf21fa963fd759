/**
 * tfjs's wasm backend: any machine, one thread, slow. What it lacks is composed in wasm-kernels.ts.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as Wasm from '@tensorflow/tfjs-backend-wasm';
import { Failure } from '../../shared/core/failures.ts';
import type { DeviceDescription } from '../../shared/ports/compute.ts';
import { tf } from './tfjs.ts';
import { registerWasmKernels } from './wasm-kernels.ts';

const require = createRequire(import.meta.url);

/** Makes wasm the backend of this thread. Rejects with `backend-missing`. */
export async function useWasm(): Promise<DeviceDescription> {
  const name = '@tensorflow/tfjs-backend-wasm';
  const wasm = require(name) as typeof Wasm;
  wasm.setWasmPaths(`${join(dirname(require.resolve(name)))}/`);
  wasm.setThreadsCount(1);
  registerWasmKernels();
  if (!(await tf.setBackend('wasm'))) {
    throw new Failure(
      'backend-missing',
      'Expected the wasm backend to start, found that it did not. Run `npm install` again.',
    );
  }
  return {
    backend: 'wasm',
    device: 'CPU',
    version: wasm.version_wasm,
    intraOpThreads: 1,
    interOpThreads: 1,
  };
}
