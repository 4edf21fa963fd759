/**
 * The environment of a process that computes (NUMERICS 2).
 *
 * TensorFlow, oneDNN and CUDA take switches from the environment that change bits or speed, and
 * read them before any of our code runs. So the one who spawns the process makes its environment:
 * variables of those families are dropped, then the ones we stand for are set. Set inside a worker
 * thread they would never reach TensorFlow.
 */

import type { Precision } from '../../shared/core/method.ts';

export interface ComputeEnvironmentOptions {
  /** Operations side by side; no effect on bits. At least 1, default 1. */
  threadsInterOp?: number;
  /** `tf32` alone lets NVIDIA's tensor cores shorten f32 products. */
  precision: Precision;
  /** The one GPU that the process may see, by CUDA's number or UUID; absent: as in the parent. */
  cudaDevice?: string | undefined;
}

/** Families of switches that decide how TensorFlow and its libraries compute. */
const dropped = [
  'TF_',
  'TF2_',
  'TFJS_',
  'ONEDNN_',
  'DNNL_',
  'MKL_',
  'MKLDNN_',
  'OMP_',
  'KMP_',
  'GOMP_',
  'XLA_',
  'CUDNN_',
  'CUBLAS_',
  'NVIDIA_TF32_OVERRIDE',
];

/** The parent's variables without those families, and with ours. */
export function computeEnvironment(
  parent: Readonly<Record<string, string | undefined>>,
  options: ComputeEnvironmentOptions,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(parent)) {
    if (value === undefined || dropped.some((family) => name.startsWith(family))) continue;
    environment[name] = value;
  }
  Object.assign(environment, {
    // Bits depend on this one: always 1, never derived from cores or workers.
    TF_NUM_INTRAOP_THREADS: '1',
    TF_NUM_INTEROP_THREADS: String(options.threadsInterOp ?? 1),
    TF_DETERMINISTIC_OPS: '1',
    TF_ENABLE_ONEDNN_OPTS: '1',
    TF_CUDNN_USE_AUTOTUNE: '0',
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    TF_CPP_MIN_LOG_LEVEL: '2',
  });
  if (options.precision !== 'tf32') environment['NVIDIA_TF32_OVERRIDE'] = '0';
  if (options.cudaDevice !== undefined) {
    environment['CUDA_VISIBLE_DEVICES'] = options.cudaDevice;
  }
  return environment;
}
