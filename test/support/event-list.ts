/** Events in memory, read as the coordinator's log is read: from any number on, then live. */
import type { EventSource } from '../../shared/adapters/nats-stream.ts';
import type { RunEvent } from '../../shared/core/events.ts';

export interface EventList extends EventSource {
  readonly events: readonly RunEvent[];
  push(event: RunEvent): void;
  /** No more will come. */
  end(): void;
}

/** A warning with a number, for tests that count events. */
export const numbered = (seq: number, word = ''): RunEvent => ({
  seq,
  time: '2020-11-20T00:00:00.000Z',
  step: seq,
  because: 'a test',
  kind: seq % 2 ? 'warning' : 'run-failed',
  code: 'x',
  message: `é ${seq}${word}`,
});

export function eventList(count = 0, word = ''): EventList {
  const events = Array.from({ length: count }, (_, i) => numbered(i + 1, word));
  const waiting = new Set<() => void>();
  let ended = false;
  const wake = () => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  return {
    events,
    get seq() {
      return events.length;
    },
    push(event) {
      events.push(event);
      wake();
    },
    end() {
      ended = true;
      wake();
    },
    async *after(seq, signal) {
      signal.addEventListener('abort', wake, { once: true });
      for (let at = seq; !signal.aborted; ) {
        const event = events[at];
        if (event !== undefined) {
          at += 1;
          yield event;
        } else if (ended) return;
        else await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
  };
}
