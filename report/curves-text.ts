/**
 * What curves say in words, and the legend of a figure that stands alone.
 */
import { escaped, type Spot, trimmed } from '../shared/core/plotting.ts';
import { curveClasses } from './figure-style.ts';

export interface Measure extends Spot {
  /** One standard error; absent: none is known. */
  error?: number;
}

export interface Curve {
  name: string;
  /** Its place among the runs: the same colour in every figure. */
  index: number;
  kind: 'line' | 'smoothed' | 'measured';
  points: readonly Measure[];
}

/** What the figure says, for those who do not see it. */
export function inWords(
  { across, show }: { across: string; show: (value: number, digits: number) => string },
  curves: readonly Curve[],
): string {
  const told = curves.slice(0, 12).map(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined) return `${name}: nothing measured.`;
    const at = ({ x, y }: Spot): string =>
      `${show(y, 4)} at ${trimmed(x, 2)} ${across.toLowerCase()}`;
    return first === last ? `${name}: ${at(last)}.` : `${name}: from ${at(first)} to ${at(last)}.`;
  });
  const more = curves.length > 12 ? ` And ${curves.length - 12} more.` : '';
  return told.join(' ') + more;
}

/** The legend inside a file: names beside a stroke, as many in a row as fit. */
export function legendRows(curves: readonly Curve[], width: number): string[] {
  if (curves.length < 2) return [];
  const rows: string[][] = [[]];
  let x = 16;
  for (const { name, index } of curves) {
    const shown = name.length > 40 ? `${name.slice(0, 39)}…` : name;
    const needed = 48 + shown.length * 8.4;
    if (x + needed > width - 8 && x > 16) {
      rows.push([]);
      x = 16;
    }
    const y = 34 + 20 * rows.length;
    rows
      .at(-1)
      ?.push(
        `<line class="line ${curveClasses(index)}" x1="${x}" x2="${x + 24}" y1="${y - 4}" y2="${y - 4}"/>`,
        `<text class="name" x="${x + 30}" y="${y}">${escaped(shown)}</text>`,
      );
    x += needed;
  }
  return rows.map((row) => row.join('\n'));
}
