/**
 * Twins of the parts that stand for tensors, pictures and data: the tiny exact model in their
 * place. Everything else of coordinator and worker runs as it is shipped.
 */
import { fingerprintOf } from '../../../shared/adapters/fingerprint.ts';
import type { Method } from '../../../shared/core/method.ts';
import type { Sample } from '../../../shared/core/sample.ts';
import type { Dataset } from '../../../shared/ports/dataset.ts';
import { type TinyInput, tinyArchitecture, tinyInput, tinySamples } from '../tiny.ts';

/** What the harness sets for each seed. */
export const parts = {
  samples: 64,
  /** Samples that nobody can decode. */
  undecodable: new Set<number>(),
};

const fingerprints = new Map<number, string>();

// shared/adapters/open-dataset.ts
export function openDataset(): Dataset {
  const samples = tinySamples(parts.samples);
  const fingerprint = fingerprints.get(samples.length) ?? fingerprintOf(samples);
  fingerprints.set(samples.length, fingerprint);
  return {
    index: async () => ({ samples, leftOut: [], fingerprint }),
    read: async (sample) => Uint8Array.of(sample.index & 255, sample.index >> 8),
  };
}

// shared/core/architecture.ts
export const architecture = () => tinyArchitecture;

// coordinator/shell/arithmetic-thread.ts
export { inLine as inThread } from '../../../coordinator/shell/arithmetic.ts';

// worker/shell/canary.ts
export const runCanary = async () => ({
  stages: [{ name: 'step', sha256: 'c'.repeat(64) }],
  graph: '',
});

// coordinator/shell/loss-picture.ts
export const lossPicture = () => ({ see: () => undefined, write: async () => undefined });

// worker/shell/images.ts
export class SampleFailure extends Error {
  readonly code: string;
  readonly sample: number;
  constructor(code: string, message: string, sample: number) {
    super(message);
    this.code = code;
    this.sample = sample;
  }
}
export const imageSource = () => ({ images: (gray: readonly number[]) => gray });

// worker/shell/leaf-input.ts
export async function prepareLeaf(
  method: Method,
  samples: readonly Sample[],
  step: number,
  leaf: number,
  gray: readonly number[],
): Promise<{ input: TinyInput; inputHash: string }> {
  const input = tinyInput(method, samples.length, step, leaf, gray);
  for (const sample of input.samples)
    if (parts.undecodable.has(sample) && !gray.includes(sample))
      throw new SampleFailure('sample-undecodable', `${sample}.png is no image`, sample);
  return { input, inputHash: input.inputHash };
}
// coordinator/shell/step-meter.ts
export const stepMeter = () => ({
  turn: () => undefined,
  pulling: () => undefined,
  bytes: () => undefined,
  totals: { 'gradients-in': 0, 'weights-out': 0, 'samples-out': 0 },
  report: () => ({}),
});

export const askAhead = () => undefined;

export const prepareSurvey = async (): Promise<never> => {
  throw new Error('no survey is part of a simulated run');
};
