/**
 * A real coordinator and a real worker session in this process, over loopback, with the exact
 * compute in TensorFlow's place: a whole run in a second or two.
 */
import { join } from 'node:path';
import { runCoordinator } from '../../coordinator/main.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { exactWorker } from './exact-worker.ts';

export interface ExactTraining {
  /** Options of `train` by name; `data` and `run` are needed. */
  options: Record<string, string | number>;
  /** The worker's own data; absent: it fetches every image. */
  workerData?: string;
  /** Once the coordinator listens. */
  onListening?: () => void;
}

/** Trains to the end; rejects with the coordinator's failure. */
export async function trainExactly(training: ExactTraining): ReturnType<typeof runCoordinator> {
  const values: Record<string, string | number> = {
    model: 'resnet18-cifar',
    size: 8,
    batch: 4,
    'micro-batch': 2,
    steps: 2,
    ...training.options,
  };
  const layer = {
    source: 'flag' as const,
    values: Object.fromEntries(Object.entries(values).map(([k, v]) => [k, String(v)])),
  };
  const { config } = parseConfig([layer]);
  const run = config.run ?? join('.', 'run');
  const over = new AbortController();
  let session: Promise<unknown> = Promise.resolve();
  try {
    return await runCoordinator({
      config: { ...config, run },
      signal: over.signal,
      say: () => undefined,
      onListening: (address) => {
        training.onListening?.();
        session = exactWorker(address, over.signal, training.workerData);
      },
    });
  } finally {
    over.abort();
    await session;
  }
}
