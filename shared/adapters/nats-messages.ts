/**
 * What a subscription on NATS hears: events, and the word that there may be some up to a number.
 *
 * The word comes from heartbeats, and by itself every two seconds while nothing comes, so that
 * whoever reads looks at the stream again. The queue is bounded: what finds it full shows as a gap.
 */
import type { NatsConnection } from 'nats';
import type { RunEvent } from '../core/events.ts';

const queueMax = 10_000;
/** How often the stream is looked at where nothing comes by itself, milliseconds. */
const lookMs = 2000;

/** The newest number that a heartbeat tells of, or null where the message is none. */
function beatOf(text: string): number | null {
  try {
    const { seq, kind } = JSON.parse(text) as { seq?: number; kind?: string };
    return kind === undefined && Number.isSafeInteger(seq) ? (seq as number) : null;
  } catch {
    return null;
  }
}

/** What comes on the wire: an event, or the word that there may be events up to a number. */
export type Heard = RunEvent | { told: number };

/** Messages of a subject as they come. `parse` gives null for what is no event. */
export async function* messages(
  client: NatsConnection,
  subject: string,
  parse: (text: string) => RunEvent | null,
  signal: AbortSignal,
): AsyncIterable<Heard> {
  const queue: Heard[] = [];
  let wake: () => void = () => undefined;
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  const push = (heard: Heard | null): void => {
    if (heard !== null && queue.length < queueMax) queue.push(heard);
    wake();
  };
  const subscription = client.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return;
      const text = message.string();
      const told = beatOf(text);
      push(told === null ? parse(text) : { told });
    },
  });
  const look = setInterval(() => queue.length === 0 && push({ told: 0 }), lookMs);
  void client.closed().then(() => wake());
  try {
    // The subscription stands at the server before anybody looks at what came earlier.
    await client.flush().catch(() => undefined);
    push({ told: 0 });
    while (!signal.aborted && !client.isClosed()) {
      const heard = queue.shift();
      if (heard !== undefined) {
        yield heard;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (queue.length > 0 || signal.aborted) resolve();
      });
    }
  } finally {
    clearInterval(look);
    signal.removeEventListener('abort', onAbort);
    if (!client.isClosed()) subscription.unsubscribe();
  }
}
