/**
 * Lines of a full screen: segments with a style, so that their width is known before any colour.
 *
 * Text from peers is made printable here, whatever it holds; colours are additions, never content.
 */
import { printable } from '../shared/core/format.ts';

export type Style = 'plain' | 'dim' | 'bold' | 'good' | 'warn' | 'bad' | 'accent';
export type Segment = readonly [text: string, style: Style];
export type Line = readonly Segment[];

const codes: Record<Style, string> = {
  plain: '',
  dim: '\u001b[2m',
  bold: '\u001b[1m',
  good: '\u001b[32m',
  warn: '\u001b[33m',
  bad: '\u001b[31m',
  accent: '\u001b[36m',
};

/** A line as text of at most so many columns; colours only where they are wanted. */
export function lineText(line: Line, columns: number, colour: boolean): string {
  let left = columns;
  let text = '';
  for (const [raw, style] of line) {
    const clean = printable(raw, 4000).replaceAll(/[\n\t]/g, ' ');
    const whole = [...clean];
    const cut = whole.length > left ? [...whole.slice(0, Math.max(0, left - 1)), '…'] : whole;
    const shown = left > 0 ? cut.join('') : '';
    left -= shown === '' ? 0 : cut.length;
    text +=
      colour && style !== 'plain' && shown !== '' ? `${codes[style]}${shown}\u001b[0m` : shown;
  }
  return text;
}

/** Columns that a line takes. */
export const widthOf = (line: Line): number =>
  line.reduce((sum, [text]) => sum + [...text].length, 0);

/** Two ends of a line with space between; the right one goes where there is no room. */
export function between(left: Line, right: Line, columns: number): Line {
  const gap = columns - widthOf(left) - widthOf(right);
  return gap < 1 ? left : [...left, [' '.repeat(gap), 'plain'], ...right];
}

/** A line of exactly so many columns or more, blanks at its end. */
export function padded(line: Line, columns: number): Line {
  const gap = columns - widthOf(line);
  return gap > 0 ? [...line, [' '.repeat(gap), 'plain']] : line;
}

/** Two blocks of lines side by side, the left one so many columns wide. */
export function beside(left: readonly Line[], right: readonly Line[], columns: number): Line[] {
  const rows = Math.max(left.length, right.length);
  return Array.from({ length: rows }, (_, i) => [
    ...padded(left[i] ?? [], columns),
    ...(right[i] ?? []),
  ]);
}
