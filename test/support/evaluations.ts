/** Evaluations that never were: for reports and cards, in the form of `evaluations/*.json`. */
import { type Evaluation, evaluationVersion } from '../../shared/core/evaluation.ts';

export interface PretendedEvaluation {
  run: string;
  step: number;
  kind: Evaluation['kind'];
  accuracy: number;
  labels: readonly string[];
  digest?: string;
  time?: string;
}

export function pretendEvaluation(of: PretendedEvaluation): Evaluation {
  const { run, step, kind, accuracy, labels } = of;
  const digest = of.digest ?? 'd'.repeat(64);
  const each = 110;
  const right = Math.round(each * accuracy);
  const n = each * labels.length;
  const wrong = Math.round((each - right) / Math.max(1, labels.length - 1));
  const linear = kind === 'linear';
  return {
    ...{ version: evaluationVersion, kind, accuracy, n, digest },
    standardError: Math.sqrt((accuracy * (1 - accuracy)) / n),
    seedError: linear ? 0.004 : 0,
    perClass: labels.map((label) => ({ label, n: each, accuracy })),
    confusion: labels.map((_, i) => labels.map((_, j) => (i === j ? right : wrong))),
    checkpoint: {
      ...{ run, step, epoch: step / 28, digest, model: 'resnet18', precision: 'bf16' },
      ...{ backbone: 'b'.repeat(64), calibrated: step === 0 },
    },
    data: {
      ...{ name: 'flowers', fingerprint: 'f'.repeat(64), images: 3670, size: 64 },
      ...{ split: 'held-out', share: 0.15, seed: 1, learned: 2600, stoppedOn: 520 },
    },
    protocol: linear
      ? {
          ...{ name: 'simsiam-tf', epochs: 100, batch: 64, learningRate: 1e-3, patience: 5 },
          standardised: false,
        }
      : { name: 'knn', k: 20, temperature: 0.07, standardised: false },
    probes: linear
      ? [1, 2, 3].map((seed) => ({ seed, accuracy, loss: 1.1, epochs: 40, kept: 35 }))
      : [],
    ...{ featureStd: 0.04, featureWidth: 512, features: 'e'.repeat(64), device: 'a test' },
    time: of.time ?? '2026-11-24T00:00:00.000Z',
  };
}
