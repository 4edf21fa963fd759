/**
 * Numbers as people read them: durations, rates, bytes, shares, signed figures.
 *
 * One place, so that the same figure looks the same in the terminal, on the dashboard and in reports.
 * Everything here is text of width one a character, so `length` is its width on a terminal.
 */

/** `8s`, `3m12s`, `2h05m`, `3d04h`; seconds, never negative. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'unknown';
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86_400)}d${two(Math.floor(s / 3600) % 24)}h`;
}

/** Fixed digits with a true minus sign. */
export function signed(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value);
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** Three figures or so: `0.42`, `4.2`, `42`, `4,200`. */
export function rate(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const digits = value < 1 ? 2 : value < 10 ? 1 : 0;
  return value < 1000 ? value.toFixed(digits) : count(value);
}

/** Whole number with thousands apart: `12,288`. */
export function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** A share as a percentage: 0.5474 → `54.7 %`; a dash where there is none. */
export function percent(share: number | null, digits = 1): string {
  return share === null ? '—' : `${(100 * share).toFixed(digits)} %`;
}

/** `640 B`, `74.2 MB`; decimal units. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `1 worker`, `2 workers`. */
export function plural(n: number, noun: string, many = `${noun}s`): string {
  return `${count(n)} ${n === 1 ? noun : many}`;
}

/** An epoch: whole, or with one digit, two near the beginning. */
export function epoch(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 0.1 ? 2 : 1);
}

/** Rows as columns, each as wide as its widest cell, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

/** Text from a peer or a file without the characters that steer a terminal; bounded. */
export function printable(text: string, most = 2000): string {
  // Every control character but tab and line feed.
  const clean = text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?');
  return clean.length <= most ? clean : `${clean.slice(0, most)}…`;
}

/** The same for a place that has one line, such as a name within a sentence. */
export const oneLine = (text: string, most = 2000): string =>
  printable(text.replaceAll('\n', '?'), most);
