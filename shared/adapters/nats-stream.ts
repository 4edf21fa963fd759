/**
 * The JetStream stream of one run: made with limits, and never out of step with `events.jsonl`.
 *
 * Its sequence numbers are the events' own: events are published from number 1 on, each with the
 * number that must come before it, so a number is stored once and in order or not at all. A stream
 * whose last event is not the file's event of that number holds the events of another run (or of a
 * file that was lost): it is replaced, because the file is the truth.
 */
import {
  DiscardPolicy,
  type JetStreamManager,
  type NatsConnection,
  RetentionPolicy,
  StorageType,
} from 'nats';
import type { RunEvent } from '../core/events.ts';
import { streamName, streamSubject } from '../wire/subjects.ts';

/** Where events are read from again: the file and what follows it. */
export interface EventSource {
  /** Number of the newest event; 0 before the first. */
  readonly seq: number;
  /** Events after a number, then live; ends when no more will come. */
  after(seq: number, signal: AbortSignal): AsyncGenerator<RunEvent>;
}

/** Events that a stream keeps at most: by age, size and number, the oldest going first. */
export const streamLimits = {
  ageMs: 30 * 24 * 3600 * 1000,
  bytes: 64 * 1024 * 1024,
  /** Tried in turn by a server that has less room. */
  bytesLeast: 1024 * 1024,
  messages: 1_000_000,
  duplicatesMs: 2 * 60 * 1000,
};

const nanoseconds = (ms: number): number => ms * 1_000_000;

/** What the server's error says of itself: HTTP-like code, JetStream's own number, words. */
export function natsFault(error: unknown): { code: string; number: number; words: string } {
  const {
    code,
    message,
    api_error: api,
  } = error as {
    code?: string;
    message?: string;
    api_error?: { err_code?: number; description?: string };
  };
  return {
    code: String(code ?? ''),
    number: api?.err_code ?? 0,
    words: api?.description ?? String(message ?? error),
  };
}

/** JetStream of this connection, or null where the server or the account has none. */
export async function jetStreamOf(connection: NatsConnection): Promise<JetStreamManager | null> {
  try {
    return await connection.jetstreamManager({ timeout: 3000 });
  } catch (error) {
    const { code, number } = natsFault(error);
    // 503: nobody answers that subject; 10039, 10076: not for this account, not enabled.
    if (code === '503' || number === 10039 || number === 10076) return null;
    throw error;
  }
}

async function addStream(manager: JetStreamManager, run: string): Promise<void> {
  for (let bytes = streamLimits.bytes; ; bytes /= 4) {
    try {
      await manager.streams.add({
        name: streamName(run),
        subjects: [streamSubject(run)],
        description: `events of the run ${run}`.slice(0, 200),
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
        storage: StorageType.File,
        max_age: nanoseconds(streamLimits.ageMs),
        max_bytes: Math.floor(bytes),
        max_msgs: streamLimits.messages,
        duplicate_window: nanoseconds(streamLimits.duplicatesMs),
        allow_direct: true,
      });
      return;
    } catch (error) {
      // 10047, 10028, 10023: not so much room; less may do.
      const tight = [10047, 10028, 10023].includes(natsFault(error).number);
      if (!tight || bytes / 4 < streamLimits.bytesLeast) throw error;
    }
  }
}

/** The stream's last number, or null where there is no such stream. */
export async function lastOfStream(manager: JetStreamManager, run: string): Promise<number | null> {
  try {
    const { state } = await manager.streams.info(streamName(run));
    return state.last_seq;
  } catch (error) {
    if (natsFault(error).code === '404') return null;
    throw error;
  }
}

async function eventOf(source: EventSource, seq: number): Promise<RunEvent | null> {
  if (seq < 1 || seq > source.seq) return null;
  const found = new AbortController();
  for await (const event of source.after(seq - 1, found.signal)) {
    found.abort();
    return event.seq === seq ? event : null;
  }
  return null;
}

export interface Claimed {
  /** The number after which to publish. */
  after: number;
  /** A stream with other events stood under this name and was replaced. */
  replaced: boolean;
}

/** Another publisher of the same name keeps taking the stream. */
export class StreamTaken extends Error {}

/** Makes or adopts the run's stream and says where to go on. Rejects with `StreamTaken`. */
export async function claimStream(
  manager: JetStreamManager,
  run: string,
  source: EventSource,
  mayReplace: boolean,
): Promise<Claimed> {
  const last = await lastOfStream(manager, run);
  if (last === 0) return { after: 0, replaced: false };
  if (last !== null) {
    const [kept, ours] = await Promise.all([
      manager.streams.getMessage(streamName(run), { seq: last }).catch((error: unknown) => {
        if (natsFault(error).code === '404') return null;
        throw error;
      }),
      eventOf(source, last),
    ]);
    // Emptied by its limits: nothing to compare, and its numbers still count.
    if (kept === null && ours !== null) return { after: last, replaced: false };
    if (kept !== null && ours !== null && kept.string() === JSON.stringify(ours))
      return { after: last, replaced: false };
    if (!mayReplace)
      throw new StreamTaken(`another run named ${run} publishes to this NATS server`);
    await manager.streams.delete(streamName(run));
  }
  await addStream(manager, run);
  return { after: 0, replaced: last !== null };
}
