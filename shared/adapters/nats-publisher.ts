/**
 * Publishes events to NATS as they happen, and never makes training wait for it.
 *
 * Core NATS keeps nothing: what happens while the server is away is not queued here. A subscriber
 * sees the gap in `seq` and refills it from the coordinator's `WatchEvents`, which reads the file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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
  return url.replace(/(^|,|\/\/)[^/,]*@/g, '$1***@');
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
  let reason = 'no answer yet';
  const first = setTimeout(() => {
    if (up || closed) return;
    say('away', `no NATS server answers at ${shown} (${reason}); training goes on without`);
  }, 3000);
  first.unref();

  /** Tries until a server answers: the client's own retry of a first connect cannot be ended. */
  async function open(): Promise<void> {
    while (!closed) {
      try {
        const nc = await connect({
          servers: url,
          name: `tandem ${run}`,
          timeout: 2000,
          reconnect: true,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 500,
          reconnectJitter: 250,
          pingInterval: 5000,
          maxPingOut: 2,
        });
        if (closed) return await nc.close();
        connection = nc;
        state(true, `events go to NATS at ${shown}`);
        await follow(nc);
        // Closed for good by the server: begin anew.
        connection = null;
        state(false, `the NATS server at ${shown} went away`);
      } catch (error) {
        reason = (error as Error).message;
        await sleep(500, undefined, { ref: false });
      }
    }
  }

  async function follow(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') state(false, `the NATS server at ${shown} went away`);
      if (status.type === 'reconnect') state(true, `NATS at ${shown} is back`);
    }
  }
  void open();

  return {
    publish(event) {
      if (connection === null || !up || closed) return;
      const waiting = (
        connection as unknown as { protocol?: { outbound?: { length(): number } } }
      ).protocol?.outbound?.length();
      if (waiting !== undefined && waiting > backlogBytesMax) return;
      try {
        connection.publish(eventSubject(run, event.kind), JSON.stringify(event));
      } catch {
        // Too large for the server, or it closed just now: the file has the event.
      }
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
