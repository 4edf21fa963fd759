/**
 * Publishes events to NATS as they happen, and never makes training wait for it.
 *
 * Core NATS keeps nothing: what happens while the server is away is not queued here. A subscriber
 * sees the gap in `seq` and refills it from the coordinator's `WatchEvents`, which reads the file.
 */
import { connect, type NatsConnection } from 'nats';
import type { RunEvent } from '../core/events.ts';
import { eventSubject } from '../wire/subjects.ts';

export interface EventPublisher {
  publish(event: RunEvent): void;
  /** Flushes what is under way, for two seconds at most. */
  close(): Promise<void>;
}

/** Bytes that may wait in the client for a slow server before events are skipped. */
const backlogBytesMax = 4 * 1024 * 1024;

/** The server's address without a password, for messages. */
export function withoutSecret(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//***@');
}

export function natsPublisher(
  url: string,
  run: string,
  say: (state: 'connected' | 'away', message: string) => void,
): EventPublisher {
  let connection: NatsConnection | null = null;
  let up = false;
  let closed = false;
  const state = (now: boolean, message: string) => {
    if (now === up || closed) return;
    up = now;
    say(now ? 'connected' : 'away', message);
  };
  const shown = withoutSecret(url);
  const first = setTimeout(() => {
    if (!up && !closed) say('away', `no NATS server answers at ${shown}; training goes on without`);
  }, 3000);
  first.unref();

  const opened = connect({
    servers: url,
    name: `tandem ${run}`,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 250,
    waitOnFirstConnect: true,
    pingInterval: 5000,
    maxPingOut: 2,
  }).then(
    (nc) => {
      connection = nc;
      state(true, `events go to NATS at ${shown}`);
      void (async () => {
        for await (const status of nc.status()) {
          if (status.type === 'disconnect') state(false, `the NATS server at ${shown} went away`);
          if (status.type === 'reconnect') state(true, `NATS at ${shown} is back`);
        }
      })();
      if (closed) return nc.close();
      return undefined;
    },
    (error: unknown) => {
      if (!closed) say('away', `NATS at ${shown}: ${(error as Error).message}`);
    },
  );
  void opened;

  return {
    publish(event) {
      if (connection === null || !up) return;
      const waiting = (
        connection as unknown as { protocol?: { outbound?: { length(): number } } }
      ).protocol?.outbound?.length();
      if (waiting !== undefined && waiting > backlogBytesMax) return;
      connection.publish(eventSubject(run, event.kind), JSON.stringify(event));
    },
    async close() {
      closed = true;
      clearTimeout(first);
      if (connection === null) return;
      const flushed = up ? connection.flush() : Promise.resolve();
      await Promise.race([flushed, new Promise((r) => setTimeout(r, 2000).unref())]);
      await Promise.race([connection.close(), new Promise((r) => setTimeout(r, 500).unref())]);
    },
  };
}
