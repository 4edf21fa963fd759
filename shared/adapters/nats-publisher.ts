/**
 * Publishes a run's events to NATS and never makes training wait for it.
 *
 * It reads the events where every watcher reads them: from the coordinator's ring and, when it is
 * behind, from the file. So nothing is queued for a server that is away or slow; what was missed
 * is read again and published in order. With JetStream every event is stored once, under its own
 * number; a server without JetStream gets them as plain messages, which is said once.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import type { RunEvent } from '../core/events.ts';
import { eventSubject, type Heartbeat, heartbeatSubject, streamName } from '../wire/subjects.ts';
import { connectionOptions, type NatsTarget, withoutSecret } from './nats-connection.ts';
import {
  claimStream,
  type EventSource,
  jetStreamOf,
  natsFault,
  StreamTaken,
} from './nats-stream.ts';

export interface EventPublisher {
  /** Number of the last event that the server has. */
  readonly acknowledged: number;
  readonly state: 'away' | 'core' | 'jetstream';
  /** Publishes what is left, for so long as the server takes it and a few seconds at most. */
  close(): Promise<void>;
}

export interface PublisherOptions {
  target: NatsTarget;
  run: string;
  source: EventSource;
  beat: () => Heartbeat;
  /** Told when the state changes; not more often than `saidMax` times in all. */
  say: (state: 'connected' | 'away', message: string) => void;
}

/** Events on their way that the server has not acknowledged. */
const underWayMax = 128;
const ackMs = 5000;
const connectMs = 2000;
const beatMs = 2000;
const firstWordMs = 3000;
const backoffMsMax = 10_000;
/** How long the end of a run waits for the last events to arrive, milliseconds. */
const lastWordsMs = 3000;
const saidMax = 200;
/** How often one coordinator replaces a foreign stream: two runs of one name must not fight on. */
const replacedMax = 2;

export function natsPublisher(options: PublisherOptions): EventPublisher {
  const { target, run, source } = options;
  const shown = withoutSecret(target.url);
  const over = new AbortController();
  let state: EventPublisher['state'] = 'away';
  let acknowledged = 0;
  let replaced = 0;
  let said = 0;
  let toldCore = false;
  let reason = 'no answer yet';
  let closing = false;
  let done = false;
  let live: NatsConnection | null = null;

  const say = (word: 'connected' | 'away', message: string) => {
    said += 1;
    if (said <= saidMax && !closing) options.say(word, message);
  };
  const become = (next: EventPublisher['state'], message: string) => {
    if (next === state) return;
    state = next;
    say(next === 'away' ? 'away' : 'connected', message);
  };
  const first = setTimeout(() => {
    if (state === 'away' && said === 0)
      say('away', `nothing goes to NATS at ${shown} (${reason}); training goes on without`);
  }, firstWordMs);
  first.unref();
  const beats = setInterval(() => {
    if (state === 'away' || live === null || live.isClosed()) return;
    try {
      live.publish(heartbeatSubject(run), JSON.stringify(options.beat()));
    } catch {
      // The connection goes down just now; its loss is told elsewhere.
    }
  }, beatMs);
  beats.unref();

  /** JetStream: each event under its number, at most `underWayMax` unacknowledged. */
  async function pumpStream(nc: NatsConnection, manager: JetStreamManager, signal: AbortSignal) {
    const claimed = await claimStream(manager, run, source, replaced < replacedMax);
    if (claimed.replaced) {
      replaced += 1;
      say('away', `NATS at ${shown} held other events under the name ${run}: they are replaced`);
    }
    acknowledged = claimed.after;
    become('jetstream', `events go to NATS at ${shown}, stream ${streamName(run)}`);
    const js = nc.jetstream({ timeout: ackMs });
    const broken = new AbortController();
    const faults: unknown[] = [];
    let underWay = 0;
    let wake: () => void = () => undefined;
    // Of the content too: another run's event of this number is no duplicate, and ours does not
    // follow it. The first one follows what was compared when the stream was claimed.
    let before: string | null = null;
    const publish = async (event: RunEvent) => {
      try {
        const text = JSON.stringify(event);
        const msgID = `${event.seq}-${crc32(text).toString(16)}`;
        const follows = before === null ? {} : { lastMsgID: before };
        before = msgID;
        await js.publish(eventSubject(run, event.kind), text, {
          msgID,
          expect: { streamName: streamName(run), lastSequence: event.seq - 1, ...follows },
        });
        acknowledged = Math.max(acknowledged, event.seq);
      } catch (error) {
        faults.push(error);
        broken.abort();
      }
      underWay -= 1;
      wake();
    };
    const downTo = async (count: number) => {
      while (underWay > count)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    };
    for await (const event of source.after(
      claimed.after,
      AbortSignal.any([signal, broken.signal]),
    )) {
      if (faults.length > 0) break;
      underWay += 1;
      void publish(event);
      await downTo(underWayMax - 1);
    }
    await downTo(0);
    if (faults.length > 0) throw faults[0];
  }

  /** Plain messages, flushed now and then so that a slow server holds us back and not memory. */
  async function pumpCore(nc: NatsConnection, from: number, signal: AbortSignal) {
    for await (const event of source.after(from, signal)) {
      nc.publish(eventSubject(run, event.kind), JSON.stringify(event));
      if (event.seq < source.seq && event.seq % underWayMax !== 0) continue;
      await within(ackMs, nc.flush());
      acknowledged = event.seq;
    }
  }

  /** One connection's life; true where no more events will come, false where it was lost. */
  async function serve(nc: NatsConnection): Promise<boolean> {
    const gone = new AbortController();
    const signal = AbortSignal.any([over.signal, gone.signal]);
    void nc.closed().then((error) => {
      if (live !== nc) return;
      reason = error instanceof Error ? error.message : 'the connection was lost';
      gone.abort();
    });
    const manager = await jetStreamOf(nc);
    if (manager === null) {
      const lacks = toldCore ? '' : '; it has no JetStream, so nothing is kept there';
      toldCore = true;
      // At the first connection only what is new; after an outage what was missed.
      acknowledged = acknowledged > 0 ? acknowledged : source.seq;
      become('core', `events go to NATS at ${shown}${lacks}`);
      await pumpCore(nc, acknowledged, signal);
    } else await pumpStream(nc, manager, signal);
    return !signal.aborted;
  }

  async function work(): Promise<void> {
    for (let failures = 0; !over.signal.aborted; failures += 1) {
      const before = acknowledged;
      try {
        // The client's own reconnecting would hide for how long it was away.
        live = await connect({ ...connectionOptions(target, connectMs), reconnect: false });
        if (over.signal.aborted || (await serve(live))) return;
      } catch (error) {
        reason = natsFault(error).words;
        if (error instanceof StreamTaken) {
          state = 'away';
          say('away', `${error.message}; this one's events stay in its run folder`);
          return;
        }
      } finally {
        const last = live;
        live = null;
        await closed(last);
      }
      if (acknowledged > before) failures = 0;
      become('away', `the NATS server at ${shown} went away (${reason})`);
      const pause = Math.min(backoffMsMax, 250 * 2 ** Math.min(failures, 6));
      await sleep(pause, undefined, { ref: false, signal: over.signal }).catch(() => undefined);
    }
  }
  const ended = work().finally(() => {
    done = true;
  });

  return {
    get acknowledged() {
      return acknowledged;
    },
    get state() {
      return state;
    },
    async close() {
      closing = true;
      clearTimeout(first);
      clearInterval(beats);
      const deadline = performance.now() + (state === 'away' ? lastWordsMs / 6 : lastWordsMs);
      while (!done && acknowledged < source.seq && performance.now() < deadline) await sleep(10);
      over.abort();
      await within(500, ended).catch(() => undefined);
    },
  };
}

/** Waits for an answer so long at most. */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function closed(nc: NatsConnection | null): Promise<void> {
  if (nc === null || nc.isClosed()) return;
  await within(500, nc.close()).catch(() => undefined);
}
