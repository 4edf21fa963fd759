/**
 * `features 12/57`: how far a command is, on one line that is redrawn in place on a terminal, and
 * as a plain line now and then elsewhere.
 */
import { count } from '../shared/core/format.ts';
import { type Io, terminalOf } from './io.ts';

const redrawMs = 100;
const plainMs = 5000;

export interface ProgressLine {
  step(what: string, done: number, of: number): void;
  /** Before another line is written, and at the end. */
  clear(): void;
}

export function progressLine(io: Pick<Io, 'stderr' | 'env'>): ProgressLine {
  const { live } = terminalOf(io.stderr, io.env);
  let drawn = Number.NEGATIVE_INFINITY;
  let last = '';
  return {
    step(what, done, of) {
      const now = performance.now();
      if (what === last && now - drawn < (live ? redrawMs : plainMs)) return;
      [drawn, last] = [now, what];
      const text = `${what} ${count(done)}/${count(of)}`;
      io.stderr.write(live ? `\r\u001b[2K${text}` : `${text}\n`);
    },
    clear() {
      if (live) io.stderr.write('\r\u001b[2K');
    },
  };
}
