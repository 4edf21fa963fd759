/**
 * The environment of a computing process: what is dropped, what is set, what is let through.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeEnvironment } from '../../../worker/compute/environment.ts';

test('switches that change bits are dropped, whatever the parent had', () => {
  const parent = {
    TF_NUM_INTRAOP_THREADS: '8',
    TF_ENABLE_ONEDNN_OPTS: '0',
    TF_XLA_FLAGS: '--tf_xla_auto_jit=2',
    TF_USE_LEGACY_KERAS: '1',
    ONEDNN_MAX_CPU_ISA: 'AVX2',
    DNNL_VERBOSE: '1',
    OMP_NUM_THREADS: '7',
    MKL_NUM_THREADS: '7',
    XLA_FLAGS: '--xla_gpu_deterministic_ops=false',
    CUDNN_LOGINFO_DBG: '1',
    CUBLAS_WORKSPACE_CONFIG: ':16:8',
    NVIDIA_TF32_OVERRIDE: '1',
  };
  assert.deepEqual(computeEnvironment(parent, { precision: 'f32' }), {
    TF_NUM_INTRAOP_THREADS: '1',
    TF_NUM_INTEROP_THREADS: '1',
    TF_DETERMINISTIC_OPS: '1',
    TF_ENABLE_ONEDNN_OPTS: '1',
    TF_CUDNN_USE_AUTOTUNE: '0',
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    TF_CPP_MIN_LOG_LEVEL: '2',
    NVIDIA_TF32_OVERRIDE: '0',
  });
});

test('everything else passes through, and the parent is not touched', () => {
  const parent = { PATH: '/bin', LD_LIBRARY_PATH: '/lib', TFOO: 'x', EMPTY: '', ABSENT: undefined };
  const before = { ...parent };
  const environment = computeEnvironment(parent, { precision: 'f32' });
  assert.equal(environment['PATH'], '/bin');
  assert.equal(environment['LD_LIBRARY_PATH'], '/lib');
  assert.equal(environment['TFOO'], 'x');
  assert.equal(environment['EMPTY'], '');
  assert.ok(!('ABSENT' in environment));
  assert.deepEqual(parent, before);
});

test('inter-op threads are free, intra-op threads are not', () => {
  const environment = computeEnvironment({}, { precision: 'f32', threadsInterOp: 2 });
  assert.equal(environment['TF_NUM_INTEROP_THREADS'], '2');
  assert.equal(environment['TF_NUM_INTRAOP_THREADS'], '1');
});

test('a process sees the one GPU it was given, or what its parent saw', () => {
  const parent = { CUDA_VISIBLE_DEVICES: '3' };
  const given = computeEnvironment(parent, { precision: 'f32', cudaDevice: '0' });
  assert.equal(given['CUDA_VISIBLE_DEVICES'], '0');
  const inherited = computeEnvironment(parent, { precision: 'f32' });
  assert.equal(inherited['CUDA_VISIBLE_DEVICES'], '3');
});

test('only the precision tf32 lets f32 products be shortened', () => {
  assert.equal(computeEnvironment({}, { precision: 'bf16' })['NVIDIA_TF32_OVERRIDE'], '0');
  assert.ok(!('NVIDIA_TF32_OVERRIDE' in computeEnvironment({}, { precision: 'tf32' })));
});
