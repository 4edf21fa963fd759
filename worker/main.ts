/**
 * The worker's composition root: environment first, then data, compute thread and conversation.
 */
import { cpus, hostname } from 'node:os';
import sharp from 'sharp';
import { architecture } from '../shared/core/architecture.ts';
import { Failure } from '../shared/core/failures.ts';
import type { Backend, Method, Precision } from '../shared/core/method.ts';
import { serveHealth } from '../shared/adapters/health.ts';
import type { ClientSecurity } from '../shared/adapters/dial.ts';
import { openDataset } from '../shared/adapters/open-dataset.ts';
import type { Compute } from '../shared/ports/compute.ts';
import { computeEnvironment } from './compute/environment.ts';
import { threadedCompute } from './compute/threaded-compute.ts';
import { graceMsPreset } from '../shared/wire/limits.ts';
import { runSession, type Say } from './shell/session.ts';

export interface WorkerOptions {
  /** HOST:PORT of the coordinator. */
  coordinator: string;
  /** What it shows there and whom it trusts. */
  security?: ClientSecurity;
  /** A folder, `synthetic`, or null: images come from the coordinator. */
  data: string | null;
  backend: Backend | 'auto';
  requireGpu: boolean;
  name?: string;
  signal: AbortSignal;
  /** After the signal it stays so long for what it holds to be fetched, milliseconds; 20,000. */
  graceMs?: number;
  /** Stays until the run is done, also while its coordinator is being moved. */
  untilDone?: boolean;
  /** HOST:PORT that answers health probes, or null. */
  health?: string | null;
  say?: Say;
  /** The variables that TensorFlow may see; by default the allow-list. Tests replace it. */
  environment?: Record<string, string>;
  /** Stands between compute and worker. Tests put a fault there. */
  through?: (compute: Compute) => Compute;
}

/**
 * Joins a coordinator and computes until the run is done or the signal says to leave. Resolves to
 * true where it left with nothing of the run hanging on it. Rejects with a `Failure`.
 */
export async function runWorker(options: WorkerOptions): Promise<boolean> {
  adoptEnvironment(options.environment ?? environmentFor('f32'));
  const { coordinator, data, signal } = options;
  const health = options.health ? await serveHealth(options.health) : null;
  const session = runSession({
    coordinator,
    security: options.security,
    name: options.name ?? `${hostname()}-${process.pid}`,
    dataset: data === null ? null : openDataset(data),
    compute: async (method) => (options.through ?? same)(await openCompute(options, method)),
    describe,
    signal,
    graceMs: options.graceMs ?? graceMsPreset,
    say: options.say ?? (() => undefined),
    untilDone: options.untilDone ?? false,
    onAdmitted: (admitted) => health?.setReady(admitted),
  });
  return session.finally(() => health?.close());
}

const same = (compute: Compute): Compute => compute;

/** Operations side by side do not change bits, so whoever started the process may choose them. */
function environmentFor(precision: Precision): Record<string, string> {
  const asked = Number(process.env['TF_NUM_INTEROP_THREADS']);
  const threadsInterOp = Number.isInteger(asked) && asked > 0 ? asked : 1;
  return computeEnvironment(process.env, { precision, threadsInterOp });
}

/** Makes this process's environment the given one, before TensorFlow is loaded. */
function adoptEnvironment(environment: Record<string, string>): void {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
}

async function openCompute(options: WorkerOptions, method: Method): Promise<Compute> {
  // Known only now, and TensorFlow reads it when the compute thread loads it.
  if (options.environment === undefined) adoptEnvironment(environmentFor(method.precision));
  const net = architecture(method.model, method.classes?.length);
  const open = (backend: Backend) => threadedCompute({ backend, method, architecture: net });
  const compute = await open(options.backend === 'auto' ? 'tensorflow' : options.backend).catch(
    (error: unknown) => {
      const missing = error instanceof Failure && error.code === 'backend-missing';
      if (!missing || options.backend !== 'auto' || options.requireGpu) throw error;
      options.say?.(`computing with WebAssembly, many times slower: ${error.message}`);
      return open('wasm');
    },
  );
  const { device } = compute.describe();
  if (options.requireGpu && !device.startsWith('GPU')) {
    await compute.close();
    throw new Failure(
      'gpu-missing',
      `--require-gpu expects a GPU; TensorFlow found ${device}. Check the NVIDIA driver and that ` +
        'the CUDA build is installed (npm run setup), or leave the option out',
    );
  }
  return compute;
}

/** What explains a refusal, on one line. */
function describe(compute: Compute): string {
  const { backend, device, version, intraOpThreads, interOpThreads, mode } = compute.describe();
  const cpu = cpus()[0]?.model.trim() ?? 'unknown CPU';
  return [
    `${backend} ${version} on ${device}${mode === undefined ? '' : `, ${mode}`}`,
    `${intraOpThreads} intra-op and ${interOpThreads} inter-op threads`,
    cpu,
    `sharp ${sharp.versions.sharp}`,
    `${process.platform} ${process.arch}`,
    `Node ${process.versions.node}`,
  ].join(', ');
}
