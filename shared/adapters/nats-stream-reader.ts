/**
 * Reads a run's stream by event number: many messages asked for at once, given out in order.
 *
 * There is no consumer on the server, so nothing has to survive a restart of it or of us: who was
 * away asks again from the number after the last one that it saw.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import type { RunEvent } from '../core/events.ts';
import { streamName } from '../wire/subjects.ts';
import { jetStreamOf, natsFault } from './nats-stream.ts';

export interface StreamReader {
  /** Numbers of the oldest and the newest event kept; null where no stream of this run is. */
  bounds(): Promise<{ first: number; last: number } | null>;
  /** Events from `first` to `last` in order; those that are gone are left out. */
  range(first: number, last: number, signal: AbortSignal): AsyncGenerator<RunEvent>;
}

const askedMax = 64;
const triesMax = 5;
/** A server without JetStream is asked again for it after so long: it may be another by then. */
const askAgainMs = 30_000;

/** A reader of this run, or null where the server has no JetStream. Rejects where it is away. */
async function streamReader(
  connection: NatsConnection,
  run: string,
  parse: (text: string) => RunEvent | null,
): Promise<StreamReader | null> {
  const manager = await jetStreamOf(connection);
  if (manager === null) return null;
  const name = streamName(run);

  async function get(seq: number): Promise<RunEvent | null> {
    try {
      const message = await manager!.streams.getMessage(name, { seq });
      const event = parse(message.string());
      return event?.seq === seq ? event : null;
    } catch (error) {
      if (natsFault(error).code === '404') return null;
      throw error;
    }
  }

  return {
    async bounds() {
      try {
        const { state } = await manager.streams.info(name);
        return { first: state.first_seq, last: state.last_seq };
      } catch (error) {
        if (natsFault(error).code === '404') return null;
        throw error;
      }
    },
    async *range(first, last, signal) {
      const asked: Promise<RunEvent | null>[] = [];
      for (let next = first, given = first; given <= last; given += 1) {
        for (; next <= last && asked.length < askedMax; next += 1) {
          const answer = get(next);
          // Whoever awaits it hears of it; an earlier failure must not leave this one unhandled.
          answer.catch(() => undefined);
          asked.push(answer);
        }
        const event = await asked.shift();
        if (signal.aborted) return;
        if (event) yield event;
      }
    },
  };
}

/** What the server keeps of a run: numbers of its stream, nothing at all, or no word of it now. */
export type Kept =
  | { kind: 'kept'; first: number; last: number }
  | { kind: 'none' }
  | { kind: 'away' };

/** The run's stream through outages: readable while the server is there and keeps one. */
export class KeptEvents {
  readonly #client: NatsConnection;
  readonly #run: string | null;
  readonly #parse: (text: string) => RunEvent | null;
  #reader: StreamReader | null = null;
  #askAgainAt = 0;

  /** `run` null: there is nothing to keep. `parse` gives null for what is no event. */
  constructor(
    client: NatsConnection,
    run: string | null,
    parse: (text: string) => RunEvent | null,
  ) {
    this.#client = client;
    this.#run = run;
    this.#parse = parse;
  }

  async look(): Promise<Kept> {
    if (this.#run === null) return { kind: 'none' };
    try {
      if (this.#reader === null && performance.now() < this.#askAgainAt) return { kind: 'none' };
      this.#reader ??= await streamReader(this.#client, this.#run, this.#parse);
      if (this.#reader === null) this.#askAgainAt = performance.now() + askAgainMs;
      const bounds = await this.#reader?.bounds();
      return bounds ? { kind: 'kept', ...bounds } : { kind: 'none' };
    } catch {
      return { kind: 'away' };
    }
  }

  /**
   * Events (after, before) that the stream has, without a hole, up to the first that it cannot give.
   * With `leap`, what its limits have cut is left out.
   */
  async *between(
    after: number,
    before: number,
    signal: AbortSignal,
    leap = false,
  ): AsyncGenerator<RunEvent> {
    let last = after;
    for (let tries = 0; tries < triesMax && last < before - 1; tries += 1) {
      const kept = await this.look();
      if (kept.kind !== 'kept' || this.#reader === null) return;
      if (kept.first > last + 1) {
        if (!leap) return;
        last = kept.first - 1;
      }
      const end = Math.min(before - 1, kept.last);
      try {
        for await (const event of this.#reader.range(last + 1, end, signal)) {
          if (event.seq !== last + 1) break;
          last = event.seq;
          yield event;
        }
      } catch {
        // It went away in the middle: once more from where it stopped.
      }
      if (signal.aborted || last >= end) return;
      await sleep(200, undefined, { signal }).catch(() => undefined);
    }
  }
}
