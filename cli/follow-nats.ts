/**
 * Following a run on NATS: live, in order, each number once.
 *
 * The live wire is core NATS, which may skip. What it skips is read from the run's stream where the
 * server keeps one, else from `refill` (the coordinator, or the run folder); what cannot be had is
 * reported. Heartbeats tell of events that were missed at the end, where no later one shows the gap.
 *
 * The wire may also run ahead of the stream: a server that came back with an older store refuses an
 * event that does not follow its last one, and sends it to listeners all the same. Such an event is
 * passed over and read in its place, once the publisher has filled the stream up to it.
 */
import { basename } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import {
  connectionOptions,
  type NatsTarget,
  withoutSecret,
} from '../shared/adapters/nats-connection.ts';
import { messages } from '../shared/adapters/nats-messages.ts';
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

const refillMs = 10_000;
const connectMs = 5000;
/** How long the stream may lack what was heard before it counts as lost, milliseconds. */
const patienceMs = 60_000;

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

  /** Everything before number `before` that can be had, in order; holes in it are told. */
  async function* upTo(before: number): AsyncGenerator<RunEvent> {
    for (const read of [
      () => kept.between(last, before, signal),
      () => refilled(options, last, before),
      () => kept.between(last, before, signal, true),
    ]) {
      if (last >= before - 1) return;
      for await (const event of read()) {
        if (event.seq <= last) continue;
        if (event.seq > last + 1) onGap?.(last + 1, event.seq - 1);
        last = event.seq;
        begun = true;
        yield event;
      }
    }
  }

  /** Since when events were heard that the stream lacks, milliseconds; null while it lacks none. */
  let lackingSince: number | null = null;
  /** Will what is missing before a heard event still come into the stream? */
  async function willCome(): Promise<boolean> {
    if ((await kept.look()).kind === 'none') return false;
    lackingSince ??= performance.now();
    return performance.now() - lackingSince < patienceMs;
  }

  try {
    for await (const heard of messages(client, subjectOf(options.run), parseEventLine, signal)) {
      if (!ordered) {
        if (!('told' in heard)) yield heard;
        continue;
      }
      let event: RunEvent | null = null;
      let before = 0;
      if ('told' in heard) {
        const state = await kept.look();
        // Without a stream a heartbeat is the only word of what was missed at the end.
        if (state.kind === 'kept') before = state.last + 1;
        else before = state.kind === 'none' && begun ? heard.told + 1 : 0;
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
        const gap = begun && event.seq > last + 1;
        if (gap && (await willCome())) continue;
        if (gap) onGap?.(last + 1, event.seq - 1);
        begun = true;
        last = event.seq;
        newest = event;
        yield event;
      }
      if (newest === null) continue;
      lackingSince = null;
      if (!isLast(newest)) continue;
      const state = await kept.look();
      if (state.kind !== 'kept' || state.last <= last) return;
    }
  } finally {
    await client.close();
  }
}
