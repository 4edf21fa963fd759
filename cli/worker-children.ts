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

/**
 * The GPUs that workers may have, as CUDA names them (numbers or UUIDs): those that a scheduler left in
 * `CUDA_VISIBLE_DEVICES`, up to the first entry that is none, as CUDA reads it; else all `count`.
 */
export function visibleGpus(chosen: string | undefined, count: number): string[] {
  if (chosen === undefined) return Array.from({ length: count }, (_, i) => String(i));
  const names = chosen.split(',').map((name) => name.trim());
  const end = names.findIndex((name) => name === '' || name.startsWith('-'));
  return end < 0 ? names : names.slice(0, end);
}

/** Keeps `config.workers` workers of a coordinator alive; resolves when each has ended by itself. */
export async function keepWorkers(
  children: Children,
  config: Config,
  address: () => string,
  more: readonly string[],
): Promise<void> {
  const gpus = visibleGpus(process.env['CUDA_VISIBLE_DEVICES'], gpuCount());
  const launch = (i: number) => () => {
    const env = computeEnvironment(process.env, {
      precision: config.precision,
      threadsInterOp: config.workers === 1 ? 2 : 1,
      ...(gpus.length > 1 ? { cudaDevice: gpus[i % gpus.length] } : {}),
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
