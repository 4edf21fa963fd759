/**
 * A worker that breaks the rules on purpose, for the tests that must see it refused. Started as a
 * process of its own:
 *
 *   rogue-worker.js COORDINATOR environment NAME=VALUE …   compute past the allow-list
 *   rogue-worker.js COORDINATOR wasm                       another backend
 *   rogue-worker.js COORDINATOR flip                       one mantissa bit of each gradient
 */
import { runWorker, type WorkerOptions } from '../../worker/main.ts';
import { computeEnvironment } from '../../worker/compute/environment.ts';
import { asFailure } from '../../shared/core/failures.ts';
import type { Compute } from '../../shared/ports/compute.ts';

const [coordinator = '', mode = '', ...settings] = process.argv.slice(2);
const environment = computeEnvironment(process.env, { precision: 'f32' });
for (const setting of settings) {
  const [name = '', value = ''] = setting.split('=');
  environment[name] = value;
}

/** The same compute, with one bit of every leaf after the canary turned over. */
function flipped(compute: Compute): Compute {
  let leaves = 0;
  return {
    ...compute,
    async leaf(input, into) {
      const output = await compute.leaf(input, into);
      leaves += 1;
      if (leaves === 1) return output;
      const bits = new Uint32Array(output.payload.buffer, output.payload.byteOffset, 1);
      bits[0] = (bits[0] ?? 0) ^ 1;
      return output;
    },
  };
}

const options: WorkerOptions = {
  coordinator,
  data: null,
  backend: mode === 'wasm' ? 'wasm' : 'tensorflow',
  requireGpu: false,
  name: `rogue-${process.pid}`,
  signal: new AbortController().signal,
  environment,
  ...(mode === 'flip' ? { through: flipped } : {}),
};

try {
  await runWorker(options);
} catch (error) {
  const { code, message } = asFailure(error);
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = 1;
}
