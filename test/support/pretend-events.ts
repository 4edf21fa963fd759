/**
 * Events of a run that never was, as a coordinator would write them: for views that need many steps,
 * a kill and a join at a chosen step, or a worker with a hostile name, without training for hours.
 */
import type { EventBody, RunEvent } from '../../shared/core/events.ts';

export interface Pretended {
  run: string;
  steps: number;
  workers: readonly string[];
  /** Milliseconds of a step. */
  stepMs?: number;
  /** Milliseconds since 1970 of the first event. */
  began?: number;
}

/** Makes events with numbers and times; `time` moves on with each step. */
export function pretendRun({ run, steps, workers, stepMs = 800, began = 1.79e12 }: Pretended) {
  let seq = 0;
  let step = 0;
  let time = began;
  const live = new Set<string>();
  const event = (body: EventBody, because = 'told'): RunEvent => {
    seq += 1;
    return { seq, time: new Date(Math.round(time)).toISOString(), step, because, ...body };
  };
  return {
    get step() {
      return step;
    },
    /** From here on an event is of this moment. */
    at(ms: number) {
      time = ms;
    },
    opened: (generation = 1): RunEvent =>
      event({
        ...{ kind: 'run-opened', version: 1, run, generation, totalSteps: steps, stopAt: null },
        ...{ images: 3670, batch: 128, microBatch: 16, model: 'resnet18', outputWidth: 2048 },
        data: 'flowers',
      }),
    joined(worker: string): RunEvent {
      live.add(worker);
      const device = 'tensorflow 2.21.0 on CPU, compiled, 1 intra-op and 2 inter-op threads';
      return event({ kind: 'worker-joined', worker, pid: 4000 + live.size, host: 'here', device });
    },
    left(worker: string): RunEvent {
      live.delete(worker);
      return event({ kind: 'worker-left', worker }, 'its connection is gone');
    },
    moved: (from: string, first: number, count: number): RunEvent =>
      event({ kind: 'lease-moved', from, first, count }, `${from} is gone`),
    convicted: (worker: string, leaf: number): RunEvent =>
      event(
        { kind: 'worker-convicted', host: 'far-1', worker, leaf },
        'two others agree against it',
      ),
    begin(): RunEvent[] {
      return [this.opened(), ...workers.map((worker) => this.joined(worker))];
    },
    committed(): RunEvent {
      step += 1;
      const ms = stepMs * (1 + 0.1 * Math.sin(step));
      time += ms;
      const part = (share: number) => Math.round(10 * share * ms) / 10;
      const names = [...live];
      return event({
        kind: 'step-committed',
        epoch: (step * 128) / 3670,
        loss: -0.9 + 0.85 / (1 + step / 40) + 0.02 * Math.sin(step * 1.7),
        std: 0.0221 * (1 - 0.5 / (1 + step / 30)),
        learningRate: 0.05 * (1 - step / steps),
        imagesPerSecond: 128_000 / ms,
        workers: names.length,
        record: String(step).padStart(64, '0'),
        ...{ audit: 0.125, audited: 1 },
        phasesMs: {
          ...{ wait: 0, lease: part(0.01), broadcast: part(0.04), compute: part(0.75) },
          ...{ upload: part(0.08), reduce: part(0.1), commit: part(0.02) },
        },
        work: names.map((worker, i) => ({
          ...{ worker, microBatches: i === 0 ? 4 : 2, bytes: 44_000_000 },
          ...{ fromMs: Math.round(ms * 0.05), toMs: Math.round(ms * (0.7 + 0.03 * i)) },
          busyMs: Math.round(ms * 0.7),
        })),
      });
    },
    checkpoint: (): RunEvent =>
      event({
        kind: 'checkpoint-saved',
        checkpoint: 'checkpoints/x',
        digest: 'a'.repeat(64),
        bytes: 9e7,
      }),
    knn: (accuracy: number): RunEvent =>
      event({
        kind: 'knn-measured',
        accuracy,
        standardError: 0.02,
        queries: 550,
        references: 3120,
      }),
    done: (): RunEvent =>
      event({
        ...{ kind: 'run-done', stopped: false, loss: -0.88, std: 0.021, digest: 'b'.repeat(64) },
        checkpoint: 'checkpoints/x',
      }),
  };
}
