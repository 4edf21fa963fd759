/**
 * Which precisions this machine has. What it lacks is refused at the start: TensorFlow would throw
 * in the middle of a step, or compute slowly what was asked for speed.
 */
import { readFileSync } from 'node:fs';
import type { Precision } from '../../shared/core/method.ts';
import type { DeviceDescription } from '../../shared/ports/compute.ts';

/** Why the precision cannot be had, or null. `flags` as `cpuFlags` gives them. */
export function precisionRefusal(
  precision: Precision | undefined,
  { backend, device }: Pick<DeviceDescription, 'backend' | 'device'>,
  mode: 'compiled' | 'eager',
  flags: ReadonlySet<string> | null,
): string | null {
  const advice = 'Use --precision f32.';
  const gpu = device.startsWith('GPU');
  if (precision === 'tf32' && !gpu) {
    return `Expected an NVIDIA GPU for precision tf32, found ${backend} on ${device}. ${advice}`;
  }
  if (precision !== 'bf16') return null;
  if (mode === 'eager') {
    return `Expected the compiled step of TensorFlow for precision bf16, found ${backend}, eager. ${advice}`;
  }
  const native = ['avx512_bf16', 'amx_bf16'];
  if (gpu || flags === null || native.some((flag) => flags.has(flag))) return null;
  return `Expected a CPU with AVX512-BF16 or AMX for precision bf16, found one without. ${advice}`;
}

/** The features of the CPU as Linux names them; null where it does not say. */
export function cpuFlags(): ReadonlySet<string> | null {
  try {
    const line = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'));
    return line === null ? null : new Set(line[1]?.trim().split(/\s+/));
  } catch {
    return null;
  }
}
