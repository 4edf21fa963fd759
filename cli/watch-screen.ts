/**
 * `tandem watch` on a terminal: folds events as they come and draws the screen a few times a second.
 *
 * It stays after the run has ended, so that the end can be read; `q`, Ctrl-C or Ctrl-D leave it.
 */
import type { RunEvent } from '../shared/core/events.ts';
import { emptySummary, fold, type RunSummary } from '../shared/core/summary.ts';
import { type FullScreen, openFullScreen, type Terminal } from './full-screen.ts';
import { frame } from './screen.ts';
import { lineText } from './screen-line.ts';

const frameMs = 150;

interface Keys {
  isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  on(name: 'data', listener: (data: Buffer) => void): unknown;
  off(name: 'data', listener: (data: Buffer) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** Aborts on `q`, Ctrl-C, Ctrl-D or Escape. Returns what gives the keyboard back. */
function listenForKeys(keys: Keys, leave: AbortController): () => void {
  if (keys.isTTY !== true || keys.setRawMode === undefined) return () => undefined;
  const onKey = (data: Buffer) => {
    if (['q', 'Q', '\u0003', '\u0004', '\u001b'].includes(data.toString())) leave.abort();
  };
  keys.setRawMode(true);
  keys.on('data', onKey);
  keys.resume();
  return () => {
    keys.off('data', onKey);
    keys.setRawMode?.(false);
    keys.pause();
  };
}

function drawn(screen: FullScreen, summary: RunSummary, over: boolean, colour: boolean): void {
  const size = screen.size();
  const at = summary.lastAt === null ? Number.NaN : Date.parse(summary.lastAt);
  const quiet = over ? 0 : Math.max(0, (Date.now() - at) / 1000) || 0;
  screen.draw(frame(summary, size, quiet).map((line) => lineText(line, size.columns, colour)));
}

/** Draws until the reader leaves (or, where there is no keyboard, until the events end). */
export async function watchScreen(
  follow: (signal: AbortSignal) => AsyncIterable<RunEvent>,
  output: Terminal,
  colour: boolean,
  signal: AbortSignal,
  keys: Keys = process.stdin,
): Promise<RunSummary> {
  const left = new AbortController();
  const stop = AbortSignal.any([signal, left.signal]);
  const screen = openFullScreen(output);
  const restoreKeys = listenForKeys(keys, left);
  let summary = emptySummary;
  let over = false;
  const timer = setInterval(() => drawn(screen, summary, over, colour), frameMs);
  try {
    for await (const event of follow(stop)) summary = fold(summary, event);
    over = true;
    drawn(screen, summary, over, colour);
    if (keys.isTTY === true && !stop.aborted)
      await new Promise<void>((resolve) =>
        stop.addEventListener('abort', () => resolve(), { once: true }),
      );
  } finally {
    clearInterval(timer);
    restoreKeys();
    screen.close();
  }
  return summary;
}
