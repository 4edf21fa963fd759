/**
 * The events of a run as a stream, old ones and then new ones, until it ends or the caller goes. Reading
 * never slows training: they come from the file and a bounded ring, and who does not read waits alone.
 */
import * as grpc from '@grpc/grpc-js';
import { writeTo } from '../../shared/adapters/grpc.ts';
import { watchersMax } from '../../shared/wire/limits.ts';
import type { Door } from './door.ts';
import type { EventLog } from './event-log.ts';

type Call = grpc.ServerWritableStream<{ since: number }, { seq: number; json: string }>;

/** A handler for `WatchEvents`; at most `watchersMax` are served at once. */
export function watchEvents(
  events: Pick<EventLog, 'after'>,
  door: Pick<Door, 'callerOf' | 'fault'>,
): (call: Call) => Promise<void> {
  let watchers = 0;
  return async (call) => {
    if (watchers >= watchersMax) {
      const details = `this coordinator serves at most ${watchersMax} watchers`;
      call.emit('error', { code: grpc.status.RESOURCE_EXHAUSTED, details });
      return;
    }
    watchers += 1;
    const caller = door.callerOf(call);
    const gone = new AbortController();
    call.on('cancelled', () => gone.abort());
    call.on('close', () => gone.abort());
    try {
      for await (const event of events.after(call.request.since, gone.signal)) {
        const details = door.fault(caller);
        if (details !== null) {
          call.emit('error', { code: grpc.status.UNAUTHENTICATED, details });
          return;
        }
        await writeTo(call, { seq: event.seq, json: JSON.stringify(event) });
      }
      call.end();
    } catch {
      call.destroy();
    } finally {
      watchers -= 1;
    }
  };
}
