/**
 * `events.jsonl` and those who read it live.
 *
 * An event is in the file before anyone sees it; sequence numbers count from 1 without gaps over
 * every life of the run folder. Readers follow from any number: old events come from the file, new
 * ones from a bounded ring, so a slow reader costs no memory and delays nobody. A line that is no
 * event (a disk's damage) is passed over: nothing in training reads this file.
 */
import { join } from 'node:path';
import type { EventBody, RunEvent } from '../../shared/core/events.ts';
import { type JsonlFile, openJsonl } from './jsonl-file.ts';
import { eventNumber } from './line-parts.ts';

const ringMax = 1024;
/** Lines of so many bytes are closed to a part; the newest event stays. */
const partBytes = 16 * 1024 ** 2;

/** The event in a line of the file, or null where it holds none. */
function parseEvent(line: string): RunEvent | null {
  try {
    const event = JSON.parse(line) as RunEvent | null;
    return Number.isSafeInteger(event?.seq) && typeof event?.kind === 'string' ? event : null;
  } catch {
    return null;
  }
}

export interface EventLog {
  /** Number of the newest event in the file; 0 before the first. */
  readonly seq: number;
  append(body: EventBody, step: number, because: string): Promise<RunEvent>;
  /** Events after number `seq`, then live, until the log is closed or the signal aborts. */
  after(seq: number, signal: AbortSignal): AsyncGenerator<RunEvent>;
  /** The last event of a kind that the file held when it was opened. */
  lastOf<K extends EventBody['kind']>(kind: K): Extract<RunEvent, { kind: K }> | undefined;
  close(): Promise<void>;
}

/** Opens the file for this generation; `onOld` sees every event that it holds already. */
export async function openEventLog(
  folder: string,
  generation: number,
  onOld: (event: RunEvent) => void,
  closeBytes = partBytes,
): Promise<EventLog> {
  const path = join(folder, 'events.jsonl');
  const file: JsonlFile = await openJsonl(path, generation, { numberOf: eventNumber });
  const ring: RunEvent[] = [];
  const last = new Map<string, RunEvent>();
  let seq = 0;
  for await (const line of file.lines()) {
    const event = parseEvent(line);
    if (event === null) continue;
    seq = event.seq;
    last.set(event.kind, event);
    onOld(event);
  }
  /** The last number that the file is sure to hold. */
  let written = seq;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  let closed = false;
  let closeAt = closeBytes;

  /** Closes a part beside the appends that go on. A disk that fails costs the part, not an event. */
  function closeOld(): void {
    if (file.bytes < closeAt) return;
    closeAt = Number.POSITIVE_INFINITY;
    void file
      .closePart(written)
      .catch(() => undefined)
      .then(() => {
        closeAt = file.bytes + closeBytes;
      });
  }

  const nextWake = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        waiting.delete(done);
        resolve();
      };
      waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });

  return {
    get seq() {
      return written;
    },
    async append(body, step, because) {
      seq += 1;
      const event: RunEvent = { seq, time: new Date().toISOString(), step, because, ...body };
      await file.append(JSON.stringify(event), { sync: false });
      written = event.seq;
      ring.push(event);
      if (ring.length > ringMax) ring.shift();
      last.set(event.kind, event);
      wake();
      closeOld();
      return event;
    },
    async *after(start, signal) {
      let cursor = Math.max(0, start) + 1;
      while (!signal.aborted) {
        const oldest = ring[0]?.seq ?? written + 1;
        if (cursor < oldest) {
          const before = cursor;
          for await (const line of file.lines(cursor)) {
            const event = parseEvent(line);
            if (event === null || event.seq < cursor) continue;
            if (signal.aborted) return;
            yield event;
            cursor = event.seq + 1;
            if (cursor >= oldest) break;
          }
          // The file lacks these numbers: there is nothing to wait for.
          if (cursor === before) cursor = oldest;
          continue;
        }
        const event = ring[cursor - oldest];
        if (event !== undefined) {
          yield event;
          cursor += 1;
          continue;
        }
        if (closed) return;
        await nextWake(signal);
      }
    },
    lastOf: <K extends EventBody['kind']>(kind: K) =>
      last.get(kind) as Extract<RunEvent, { kind: K }> | undefined,
    async close() {
      closed = true;
      wake();
      await file.close();
    },
  };
}
