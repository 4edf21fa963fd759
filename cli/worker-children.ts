/**
 * The workers of this machine as child processes: one GPU each where there are several, and the
 * environment that TensorFlow may see.
 */
import { readdirSync } from 'node:fs';
import { type Config, configFlags } from '../shared/core/config.ts';
import { tlsOptionNames } from '../shared/core/option-table.ts';
import { computeEnvironment } from '../worker/compute/environment.ts';
import type { Children } from './children.ts';

/** NVIDIA GPUs of this machine, by their device files; none is usual. */
function gpuCount(): number {
  try {
    return readdirSync('/dev').filter((name) => /^nvidia\d+$/.test(name)).length;
  } catch {
    return 0;
  }
}

/** Keeps `config.workers` workers of a coordinator alive; resolves when each has ended by itself. */
export async function keepWorkers(
  children: Children,
  config: Config,
  address: () => string,
  more: readonly string[],
): Promise<void> {
  const gpus = gpuCount();
  const launch = (i: number) => () => {
    const env = computeEnvironment(process.env, {
      precision: config.precision,
      threadsInterOp: config.workers === 1 ? 2 : 1,
      ...(gpus > 1 && process.env['CUDA_VISIBLE_DEVICES'] === undefined
        ? { cudaDevice: i % gpus }
        : {}),
    });
    // The coordinator's own certificate may do what a worker's may.
    const names = ['data', 'backend', 'require-gpu', ...tlsOptionNames];
    const flags = configFlags({ ...config }, names);
    const name = `worker-${i + 1}`;
    const args = ['worker', '--coordinator', address(), '--name', name, ...flags, ...more];
    return children.start(args, env);
  };
  const workers = Array.from({ length: config.workers }, (_, i) =>
    children.keep(`worker-${i + 1}`, launch(i)),
  );
  await Promise.all(workers);
}
