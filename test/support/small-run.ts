/**
 * Real runs of the small model within the test's process: the shipped coordinator and the shipped
 * worker's session over real gRPC, with exact compute in the place of TensorFlow. Load
 * `use-small-model.js` first, and this with `import()`.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { type CoordinatorResult, runCoordinator } from '../../coordinator/main.ts';
import { architecture } from '../../shared/core/architecture.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { runSession } from '../../worker/shell/session.ts';
import { exactCompute } from './exact-compute.ts';

/** A folder of so many tiny pictures; `broken` of them have a whole header and no whole body. */
export async function tinyPhotographs(
  folder: string,
  count: number,
  broken: readonly number[] = [],
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < count; i += 1) {
    const [width, height] = [6 + (i % 7), 6 + (i % 5)];
    const pixels = Uint8Array.from(
      { length: 3 * width * height },
      (_, at) => (i * 37 + at * 11) % 256,
    );
    const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const whole = broken.includes(i) ? png.subarray(0, Math.floor(0.7 * png.length)) : png;
    writeFileSync(join(folder, `${String(i).padStart(3, '0')}.png`), whole);
  }
  return folder;
}

/** The same in one folder a class, as many in each. */
export async function labelledPhotographs(
  folder: string,
  count: number,
  labels: readonly string[],
): Promise<string> {
  await tinyPhotographs(folder, count);
  const each = Math.ceil(count / labels.length);
  for (let i = 0; i < count; i += 1) {
    const name = `${String(i).padStart(3, '0')}.png`;
    const label = labels[Math.floor(i / each)] ?? '';
    mkdirSync(join(folder, label), { recursive: true });
    renameSync(join(folder, name), join(folder, label, name));
  }
  return folder;
}

/** Options as the command line takes them, without dashes. */
export type SmallOptions = Record<string, string | number>;

export const smallMethod: SmallOptions = {
  model: 'resnet18-cifar',
  size: 8,
  batch: 8,
  'micro-batch': 2,
  seed: 5,
};

/** A worker that computes exactly; resolves when its run is done. */
export async function smallWorker(
  coordinator: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  await runSession({
    coordinator,
    name,
    dataset: null,
    compute: async (method) => exactCompute(method, architecture(method.model)),
    describe: () => 'exact compute',
    signal,
    say: () => undefined,
    graceMs: 0,
  });
}

/** Runs a coordinator and so many workers to the end, or to `stop-at`; `before` they join. */
export async function smallRun(
  options: SmallOptions,
  workers = 1,
  before: () => void = () => undefined,
): Promise<CoordinatorResult> {
  const values = { ...smallMethod, ...options };
  const { config } = parseConfig([{ source: 'flag', values }]);
  const joined: Promise<void>[] = [];
  const over = new AbortController();
  const { signal } = over;
  const result = await runCoordinator({
    config: { ...config, run: config.run ?? '' },
    signal,
    say: () => undefined,
    onListening: (address) => {
      before();
      for (let i = 0; i < workers; i += 1) joined.push(smallWorker(address, `w${i}`, signal));
    },
  }).catch(async (error: unknown) => {
    // Workers would wait for a coordinator that comes back.
    over.abort();
    await Promise.allSettled(joined);
    throw error;
  });
  await Promise.all(joined);
  return result;
}
