/**
 * A run that is over and still answers (`--linger`): who joins late hears that it is done, who
 * asks for its state gets the last one. Without it a worker that was being started when the run
 * ended would wait minutes for a coordinator that is gone; on a cluster that is the usual case.
 * Its events can still be read, and dashboard and figures stay.
 *
 * Nothing here writes to the run folder: every file is closed before this begins.
 */
import * as grpc from '@grpc/grpc-js';
import { RunService, TrainingService, tunedServer } from '../../shared/adapters/grpc.ts';
import type { Door } from './door.ts';
import type { EventLog } from './event-log.ts';
import { watchEvents } from './watch-events.ts';
import type { RunSummary } from '../../shared/core/summary.ts';
import type { ConverseRequest, ConverseResponse } from '../../shared/wire/messages.ts';

/** Longest that a stream of a finished run stays open without a join message, milliseconds. */
const introductionMs = 10_000;

export interface FinishedRun {
  name: string;
  generation: number;
  summary: RunSummary;
  /** Its events, closed. */
  events: Pick<EventLog, 'after'>;
}

/** A server, not yet bound, that tells of a run which is over. */
export function finishedServer(
  { name, generation, summary, events }: FinishedRun,
  door: Pick<Door, 'callerOf' | 'fault' | 'guard'>,
): grpc.Server {
  const { step, totalSteps, epoch } = summary;
  const message = `the run is over at step ${step} of ${totalSteps}`;
  const gone = (call: { emit(event: 'error', error: object): unknown }) =>
    void call.emit('error', { code: grpc.status.FAILED_PRECONDITION, details: message });
  const absent = (value: number | null) => value ?? undefined;
  const server = tunedServer(door.guard);
  server.addService(TrainingService.service, {
    converse(call: grpc.ServerDuplexStream<ConverseRequest, ConverseResponse>) {
      const patience = setTimeout(() => gone(call), introductionMs);
      patience.unref();
      call.on('data', (request: ConverseRequest) => {
        if (!request.join) return;
        clearTimeout(patience);
        call.write({ runDone: { message } });
        call.end();
      });
      call.on('end', () => call.end());
      call.on('error', () => clearTimeout(patience));
      call.on('cancelled', () => clearTimeout(patience));
    },
    pushGradients: gone,
    pullWeights: gone,
    listSamples: gone,
    fetchSample: gone,
  });
  server.addService(RunService.service, {
    getStatus: (_call: unknown, reply: grpc.sendUnaryData<object>) =>
      reply(null, {
        ...{ run: name, generation, state: summary.state, step, totalSteps, epoch, workers: [] },
        loss: absent(summary.loss),
        std: absent(summary.std),
        imagesPerSecond: undefined,
      }),
    drainWorker: (_call: unknown, reply: grpc.sendUnaryData<object>) =>
      reply({ code: grpc.status.NOT_FOUND, details: message }),
    watchEvents: watchEvents(events, door),
  });
  return server;
}
