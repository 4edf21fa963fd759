/**
 * The terminal as a full screen: the alternate screen, redrawn line by line, given back whole.
 *
 * Whatever ends the process (return, failure, Ctrl-C, a crash), the cursor and the screen that was
 * there come back. Drawing is bounded: so many frames a second, and only lines that changed.
 */
import { openSync, writeSync, closeSync } from 'node:fs';
import type { Output } from './io.ts';

const enter = '\u001b[?1049h\u001b[?25l\u001b[2J';
const leave = '\u001b[0m\u001b[?25h\u001b[?1049l';

export interface FullScreen {
  /** Shows these lines, the rest of the screen blank. */
  draw(lines: readonly string[]): void;
  size(): { columns: number; rows: number };
  /** Gives the terminal back; safe to call twice. */
  close(): void;
}

export interface Terminal extends Output {
  rows?: number;
}

export function openFullScreen(output: Terminal): FullScreen {
  let shown: string[] = [];
  let last = { columns: 0, rows: 0 };
  let open = true;
  output.write(enter);
  const close = () => {
    if (!open) return;
    open = false;
    process.off('exit', close);
    try {
      // At the end of a process a stream may no longer be flushed: straight to the terminal.
      const terminal = openSync('/dev/tty', 'w');
      writeSync(terminal, leave);
      closeSync(terminal);
    } catch {
      output.write(leave);
    }
  };
  // Also after an exception that nobody caught.
  process.once('exit', close);
  return {
    size: () => ({ columns: output.columns || 80, rows: output.rows || 24 }),
    draw(lines) {
      if (!open) return;
      const size = this.size();
      const anew = size.columns !== last.columns || size.rows !== last.rows;
      let text = anew ? '\u001b[2J' : '';
      if (anew) shown = [];
      for (let row = 0; row < Math.max(lines.length, shown.length); row += 1) {
        const line = lines[row] ?? '';
        if (shown[row] !== line) text += `\u001b[${row + 1};1H${line}\u001b[K`;
      }
      shown = [...lines];
      last = size;
      if (text !== '') output.write(text);
    },
    close,
  };
}
