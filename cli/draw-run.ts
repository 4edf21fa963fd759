/**
 * Draws a run while it goes on, from the events in its folder.
 *
 * `train` and `coordinator` both do it, and in the same way: what happened before this command is
 * folded without a word, then each event is drawn as it is written.
 */
import type { RunEvent } from '../shared/core/events.ts';
import { asFailure } from '../shared/core/failures.ts';
import type { RunSummary } from '../shared/core/summary.ts';
import { followEvents } from './follow.ts';
import { type Io, type Output, terminalOf } from './io.ts';
import { Progress } from './progress.ts';

export interface RunDrawing {
  /** A line that stays, above what is redrawn. */
  note(line: string): void;
  /** How far the first look at the data is. */
  indexing(done: number, total: number): void;
  /** Draws the last events, clears the line, and gives what it all came to. */
  end(): Promise<RunSummary>;
}

/** Begins to draw; `past` is what the folder's events come to so far, `onEvent` hears the rest. */
export function drawRun(
  run: string,
  past: RunSummary,
  output: Output,
  io: Io,
  onEvent: (event: RunEvent) => void = () => undefined,
): RunDrawing {
  const now = (): number => performance.now();
  const progress = new Progress({ output, ...terminalOf(output, io.env), now });
  progress.remember(past);
  const ended = new AbortController();
  const watching = (async () => {
    const options = { run, since: past.seq, signal: ended.signal, wait: true };
    for await (const event of followEvents(options)) {
      progress.event(event);
      onEvent(event);
    }
  })().catch((error: unknown) => {
    // What cannot be drawn does not stop the training.
    progress.note(`tandem: progress can no longer be shown: ${asFailure(error).message}`);
  });
  return {
    note: (line) => progress.note(line),
    indexing: (done, total) => progress.indexing(done, total),
    async end() {
      ended.abort();
      await watching;
      progress.finish();
      return progress.summary;
    },
  };
}
