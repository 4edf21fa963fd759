/**
 * Following a run on NATS: live, in order, each number once.
 *
 * The live wire is core NATS, which may skip. What it skips is read from the run's stream where the
 * server keeps one, else from `refill` (the coordinator, or the run folder); what cannot be had is
 * reported. Heartbeats tell of events that were missed at the end, where no later one shows the gap.
 */
import { basename } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import {
  connectionOptions,
  type NatsTarget,
  withoutSecret,
} from '../shared/adapters/nats-connection.ts';
import { KeptEvents } from '../shared/adapters/nats-stream-reader.ts';
import type { RunEvent } from '../shared/core/events.ts';
import { Failure } from '../shared/core/failures.ts';
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
/** How often the stream is looked at where nothing comes by itself, milliseconds. */
const lookMs = 2000;
const connectMs = 5000;

/** Subject of all events of a run; `*` for every run on the server. */
export function subjectOf(run: string | undefined): string {
  return run === undefined ? 'tandem.*.>' : runSubjects(basename(run));
}

async function connected(target: NatsTarget): Promise<NatsConnection> {
  try {
    return await connect(connectionOptions(target, connectMs));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `no NATS server answers at ${withoutSecret(target.url)}: ${reason}. Check --nats.`;
    throw new Failure('coordinator-unreachable', message, { cause });
  }
}

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
type Heard = RunEvent | { told: number };

/** Messages as they come, in a bounded queue; what finds it full shows as a gap. */
async function* messages(
  client: NatsConnection,
  subject: string,
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
      push(told === null ? parseEventLine(text) : { told });
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

/** Events (after, before) from where they are kept; ends early where they cannot be had. */
async function* refilled(
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
  target: NatsTarget,
  options: FollowNatsOptions,
): AsyncIterable<RunEvent> {
  const { signal, onGap } = options;
  const client = await connected(target);
  const ordered = options.run !== undefined || options.refill !== undefined;
  const name = options.run === undefined ? null : basename(options.run);
  const kept = new KeptEvents(client, name, parseEventLine);
  let last = options.since;
  // Without a place to refill from, what came before the first message is not a gap but the past.
  let begun = options.refill !== undefined;

  /** Everything before number `before`, in order; holes are told. */
  async function* upTo(before: number): AsyncGenerator<RunEvent> {
    for (const from of [kept.between(last, before, signal), refilled(options, last, before)]) {
      if (last >= before - 1) return;
      for await (const event of from) {
        if (event.seq <= last) continue;
        if (event.seq > last + 1) onGap?.(last + 1, event.seq - 1);
        last = event.seq;
        begun = true;
        yield event;
      }
    }
  }

  try {
    for await (const heard of messages(client, subjectOf(options.run), signal)) {
      if (!ordered) {
        if (!('told' in heard)) yield heard;
        continue;
      }
      let event: RunEvent | null = null;
      let before = 0;
      if ('told' in heard) {
        const bounds = await kept.bounds();
        // Without a stream a heartbeat is the only word of what was missed at the end.
        before = (bounds?.last ?? (begun ? heard.told : 0)) + 1;
      } else {
        event = heard;
        before = heard.seq;
      }
      let newest: RunEvent | null = null;
      if (before > last + 1) {
        for await (const earlier of upTo(before)) {
          newest = earlier;
          yield earlier;
        }
      }
      // Who leaves in the middle of a refill has missed nothing: what came before is not a gap.
      if (signal.aborted) return;
      if (event !== null && event.seq > last) {
        if (begun && event.seq > last + 1) onGap?.(last + 1, event.seq - 1);
        begun = true;
        last = event.seq;
        newest = event;
        yield event;
      }
      if (newest !== null && isLast(newest) && ((await kept.bounds())?.last ?? 0) <= last) return;
    }
  } finally {
    await client.close();
  }
}
