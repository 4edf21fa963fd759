/**
 * RunService as its clients see it: the status once, or events from a number on.
 *
 * `coordinator-unreachable` means that none is there. One that is there and refuses, is not trusted,
 * or does not answer in time has another code, so that nobody takes it for one that is gone.
 */
import * as grpc from '@grpc/grpc-js';
import type { RunEvent } from '../core/events.ts';
import { Failure } from '../core/failures.ts';
import type { RunStatus } from '../wire/messages.ts';
import { type ClientSecurity, dial } from './dial.ts';
import { RunService } from './grpc.ts';
import { isHandshakeFault, noTrust } from './handshake.ts';

interface Stub {
  getStatus(
    request: object,
    options: grpc.CallOptions,
    done: (error: grpc.ServiceError | null, status?: Partial<RunStatus>) => void,
  ): grpc.ClientUnaryCall;
  drainWorker(
    request: { worker: string },
    options: grpc.CallOptions,
    done: (error: grpc.ServiceError | null) => void,
  ): grpc.ClientUnaryCall;
  watchEvents(request: { since: number }): grpc.ClientReadableStream<{ json: string }>;
}

const answerMs = 5000;

export interface RunClient {
  /**
   * Rejects with `coordinator-unreachable`, `silent` after 5 seconds, `unauthenticated`, `forbidden`
   * or `untrusted`; with the signal's reason where that fires.
   */
  status(signal?: AbortSignal): Promise<RunStatus>;
  /** Asks a worker to leave. Rejects with `worker-missing`, or as `status` does. */
  drain(worker: string, signal?: AbortSignal): Promise<void>;
  /** Events after number `since`, until the run ends or the signal aborts. */
  watch(since: number, signal: AbortSignal): AsyncGenerator<RunEvent>;
}

export function runClient(address: string, security?: ClientSecurity): RunClient {
  const unreachable = (error: Error) =>
    new Failure(
      'coordinator-unreachable',
      `no coordinator answers at ${address}: ${error.message}. Check the address and that it runs`,
      { cause: error },
    );
  const open = () => {
    const line = dial(address, security);
    const client = new RunService(line.target, line.credentials, line.options);
    return { client, close: () => (client.close(), line.close()) };
  };
  const failed = (cause: grpc.ServiceError): Failure => {
    const { code, details } = cause;
    if (code === grpc.status.UNAUTHENTICATED) return new Failure('unauthenticated', details);
    if (code === grpc.status.PERMISSION_DENIED) return new Failure('forbidden', details);
    if (code === grpc.status.RESOURCE_EXHAUSTED) return new Failure('full', details);
    if (isHandshakeFault(cause))
      return new Failure('untrusted', noTrust('this command', details), { cause });
    if (code === grpc.status.DEADLINE_EXCEEDED)
      return new Failure(
        'silent',
        `expected an answer of the coordinator at ${address}, found none in ${answerMs / 1000} s: it ` +
          'is stopped, very busy, or cut off from here. Try again',
        { cause },
      );
    return unreachable(cause);
  };
  return {
    status(signal) {
      const { client, close } = open();
      return new Promise<RunStatus>((resolve, reject) => {
        const deadline = Date.now() + answerMs;
        const call = (client as unknown as Stub).getStatus({}, { deadline }, (error, status) => {
          if (error) reject(signal?.aborted ? signal.reason : failed(error));
          else
            resolve({
              loss: null,
              std: null,
              imagesPerSecond: null,
              workers: [],
              ...status,
            } as RunStatus);
        });
        signal?.addEventListener('abort', () => call.cancel(), { once: true });
      }).finally(close);
    },
    drain(worker, signal) {
      const { client, close } = open();
      return new Promise<void>((resolve, reject) => {
        const deadline = Date.now() + answerMs;
        const call = (client as unknown as Stub).drainWorker({ worker }, { deadline }, (error) => {
          if (error?.code === grpc.status.NOT_FOUND)
            reject(new Failure('worker-missing', error.details));
          else if (error) reject(signal?.aborted ? signal.reason : failed(error));
          else resolve();
        });
        signal?.addEventListener('abort', () => call.cancel(), { once: true });
      }).finally(close);
    },
    async *watch(since, signal) {
      if (signal.aborted) return;
      const { client, close } = open();
      const call = (client as unknown as Stub).watchEvents({ since });
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        for await (const { json } of call as AsyncIterable<{ json: string }>)
          yield JSON.parse(json) as RunEvent;
      } catch (error) {
        if (!signal.aborted) throw failed(error as grpc.ServiceError);
      } finally {
        signal.removeEventListener('abort', cancel);
        call.cancel();
        close();
      }
    },
  };
}
