/** RunService: status and events for watchers, and the wish that a worker leave. */
import * as grpc from '@grpc/grpc-js';
import type { WorkerState } from '../core/state.ts';
import type { RunContext } from './run-context.ts';
import type { RunLoop } from './run-loop.ts';
import { watchEvents } from './watch-events.ts';

export function runService(
  context: RunContext,
  loop: () => RunLoop,
): grpc.UntypedServiceImplementation {
  return {
    getStatus: (_call: unknown, reply: grpc.sendUnaryData<ReturnType<typeof statusOf>>) =>
      reply(null, statusOf(context, loop())),
    drainWorker: (
      call: { request: { worker: string } },
      reply: grpc.sendUnaryData<Record<string, never>>,
    ) => {
      const { worker } = call.request;
      if (!Object.hasOwn(loop().state.workers, worker)) {
        const known = Object.keys(loop().state.workers).slice(0, 20).join(', ');
        const details = `no worker is called ${JSON.stringify(worker.slice(0, 64))}; there are: ${known || 'none'}`;
        reply({ code: grpc.status.NOT_FOUND, details });
        return;
      }
      loop().dispatch({ kind: 'drain-requested', worker });
      reply(null, {});
    },
    watchEvents: watchEvents(context.events, context.door),
  };
}

/** What the wire takes for a figure that is not known yet: nothing. */
const absent = (value: number | null) => value ?? undefined;

function statusOf(context: RunContext, loop: RunLoop) {
  const { state } = loop;
  const { summary } = context;
  return {
    run: context.name,
    generation: context.plan.generation,
    state: summary.state,
    step: state.step,
    totalSteps: context.plan.totalSteps,
    epoch: summary.epoch,
    loss: absent(summary.loss),
    std: absent(summary.std),
    imagesPerSecond: absent(summary.imagesPerSecond),
    workers: Object.values(state.workers).map((worker) => ({
      id: worker.id,
      pid: worker.pid,
      host: worker.host,
      device: worker.description,
      state: activityOf(worker),
      step: state.step,
    })),
  };
}

export type Activity = 'joining' | 'idle' | 'computing' | 'surveying' | 'suspect' | 'draining';

export function activityOf(worker: WorkerState): Activity {
  if (worker.phase === 'joining') return 'joining';
  if (worker.draining) return 'draining';
  if (worker.suspect) return 'suspect';
  if (worker.lease !== null) return 'computing';
  return worker.survey !== null ? 'surveying' : 'idle';
}
