/**
 * Following a run on NATS: live, and without holes where the events can also be had elsewhere.
 *
 * Core NATS keeps nothing, so a subscriber that was away sees a gap in `seq`. The gap is refilled
 * from `refill` (the coordinator, or the run folder); what cannot be had is reported.
 */
import { basename } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import type { RunEvent } from '../shared/core/events.ts';
import { Failure } from '../shared/core/failures.ts';
import { withoutSecret } from '../shared/adapters/nats-publisher.ts';
import { runSubjects } from '../shared/wire/subjects.ts';
import { isLast } from './follow-folder.ts';
import { parseEventLine } from './run-folder.ts';

export interface FollowNatsOptions {
  /** Run folder or name; absent: every run on the server, unordered among each other. */
  run?: string | undefined;
  since: number;
  signal: AbortSignal;
  /** Events after `after`, from where they are kept; absent where nobody is known. */
  refill?: ((after: number, signal: AbortSignal) => AsyncIterable<RunEvent>) | undefined;
  /** Events [first, last] were missed and could not be refilled. */
  onGap?: ((first: number, last: number) => void) | undefined;
}

const queueMax = 10_000;
const refillMs = 10_000;

/** Subject of all events of a run; `*` for every run on the server. */
export function subjectOf(run: string | undefined): string {
  return run === undefined ? 'tandem.*.>' : runSubjects(basename(run));
}

async function connected(url: string): Promise<NatsConnection> {
  try {
    return await connect({ servers: url, timeout: 5000, maxReconnectAttempts: -1 });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `no NATS server answers at ${withoutSecret(url)}: ${reason}. Check --nats.`;
    throw new Failure('coordinator-unreachable', message, { cause });
  }
}

/** Messages as they come, in a bounded queue; what finds it full shows as a gap. */
async function* messages(
  client: NatsConnection,
  subject: string,
  signal: AbortSignal,
): AsyncIterable<RunEvent> {
  const queue: RunEvent[] = [];
  let wake: () => void = () => undefined;
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  const subscription = client.subscribe(subject, {
    callback: (error, message) => {
      const event = error === null ? parseEventLine(message.string()) : null;
      if (event !== null && queue.length < queueMax) queue.push(event);
      wake();
    },
  });
  try {
    while (!signal.aborted) {
      const event = queue.shift();
      if (event !== undefined) {
        yield event;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (queue.length > 0 || signal.aborted) resolve();
      });
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    subscription.unsubscribe();
  }
}

/** Events (after, before); ends early where they cannot be had. */
async function* missed(
  options: FollowNatsOptions,
  after: number,
  before: number,
): AsyncIterable<RunEvent> {
  if (options.refill === undefined) return;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(refillMs)]);
  try {
    for await (const event of options.refill(after, signal)) {
      if (event.seq >= before) return;
      if (event.seq > after) yield event;
      if (event.seq === before - 1) return;
    }
  } catch {
    // The caller reports the hole; the live wire goes on.
  }
}

/** Events of one run in order, or of all runs as they come where none is named. */
export async function* followNats(
  url: string,
  options: FollowNatsOptions,
): AsyncIterable<RunEvent> {
  const client = await connected(url);
  const ordered = options.run !== undefined || options.refill !== undefined;
  let last = options.since;
  // Without a place to refill from, what came before the first message is not a gap but the past.
  let begun = options.refill !== undefined;
  try {
    for await (const event of messages(client, subjectOf(options.run), options.signal)) {
      if (!ordered) {
        yield event;
        continue;
      }
      if (event.seq <= last) continue;
      if (begun && event.seq > last + 1) {
        for await (const earlier of missed(options, last, event.seq)) {
          if (earlier.seq > last + 1) options.onGap?.(last + 1, earlier.seq - 1);
          last = earlier.seq;
          yield earlier;
        }
        if (event.seq > last + 1) options.onGap?.(last + 1, event.seq - 1);
      }
      begun = true;
      last = event.seq;
      yield event;
      if (isLast(event)) return;
    }
  } finally {
    await client.close();
  }
}
