/** A worker session in this process with the exact compute in TensorFlow's place. */
import { openDataset } from '../../shared/adapters/open-dataset.ts';
import { architecture } from '../../shared/core/architecture.ts';
import { runSession } from '../../worker/shell/session.ts';
import { exactCompute } from './exact-compute.ts';

/** Serves until the run is done or the signal fires; never rejects. `data`: its own images. */
export async function exactWorker(
  coordinator: string,
  signal: AbortSignal,
  data?: string,
): Promise<void> {
  await runSession({
    coordinator,
    name: 'exact',
    dataset: data === undefined ? null : openDataset(data),
    compute: async (method) => exactCompute(method, architecture(method.model)),
    describe: () => 'the exact compute',
    signal,
    say: () => undefined,
    graceMs: 1000,
  }).catch(() => undefined);
}
