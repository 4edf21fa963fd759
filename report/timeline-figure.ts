/**
 * Who computed when, of the latest steps of a run: a row a worker, a bar from its first lease of a
 * step to its last result, marks for joining, leaving and leases that moved.
 */
import { escaped, grouped } from '../shared/core/plotting.ts';
import type { RunSummary } from '../shared/core/summary.ts';
import type { Figure } from './contents.ts';
import { figureStyle } from './figure-style.ts';

const width = 1160;
const row = 26;
const left = 130;
const right = 12;
const workersMax = 32;
const spanMs = 120_000;

/** Null where no event tells who did what. */
export function timelineFigure(summary: RunSummary, id: string, title: string): Figure | null {
  const { timeline, marks } = summary;
  const last = Math.max(
    ...timeline.flatMap(({ began, work }) => work.map(({ toMs }) => began + toMs)),
  );
  const first = timeline[0]?.began;
  if (first === undefined || !Number.isFinite(last)) return null;
  const begin = Math.max(first, last - spanMs);
  const shown = timeline.filter(({ began, work }) => work.some(({ toMs }) => began + toMs > begin));
  const names = [...new Set(shown.flatMap(({ work }) => work.map(({ worker }) => worker)))];
  const workers = names.sort((a, b) => (a < b ? -1 : 1)).slice(0, workersMax);
  const seen = marks.filter(({ at }) => at >= begin && at <= last);
  const task = { workers, shown, marks: seen, begin, last, id, title };
  return { id, inline: drawn(task, false), file: drawn(task, true) };
}

interface Task {
  workers: readonly string[];
  shown: RunSummary['timeline'];
  marks: RunSummary['marks'];
  begin: number;
  last: number;
  id: string;
  title: string;
}

function drawn({ workers, shown, marks, begin, last, id, title }: Task, alone: boolean): string {
  const top = alone ? 44 : 4;
  const bottom = top + workers.length * row;
  const height = bottom + 30;
  const span = Math.max(1, last - begin);
  const x = (at: number): number =>
    Math.round((left + ((at - begin) / span) * (width - left - right)) * 10) / 10;
  const places = new Map(workers.map((name, i) => [name, top + i * row]));
  const seconds = grouped(span / 1000);
  const told = marks.slice(-6).map(({ text }) => text);
  const what =
    `${workers.length} workers over the last ${seconds} seconds with work, ` +
    `${shown.length} steps. ${told.length > 0 ? `Marks: ${told.join('; ')}.` : 'No marks.'}`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="${id}-title ` +
      `${id}-desc" viewBox="0 0 ${width} ${height}"${alone ? ` width="${width}" height="${height}"` : ''}>`,
    `<title id="${id}-title">${escaped(title)}</title>`,
    `<desc id="${id}-desc">${escaped(what)}</desc>`,
    alone ? `<style>${figureStyle}</style>` : '',
    alone ? `<rect class="paper" width="${width}" height="${height}"/>` : '',
    alone ? `<text class="title" x="16" y="28">${escaped(title)}</text>` : '',
  ];
  for (const [name, y] of places) {
    const shownName = name.length > 16 ? `${name.slice(0, 15)}…` : name;
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y + row}" y2="${y + row}"/>`,
      `<text class="tick" x="${left - 10}" y="${y + 17}" text-anchor="end">${escaped(shownName)}</text>`,
    );
  }
  for (const { step, began, work } of shown)
    for (const { worker, microBatches, fromMs, toMs } of work) {
      const y = places.get(worker);
      if (y === undefined || began + toMs <= begin) continue;
      const from = x(Math.max(begin, began + fromMs));
      const wide = Math.max(0.8, Math.round((x(began + toMs) - from - 0.6) * 10) / 10);
      parts.push(
        `<rect class="bar" x="${from}" y="${y + 5}" width="${wide}" height="${row - 10}" rx="2">` +
          `<title>${escaped(`${worker}, step ${step}: ${microBatches} micro-batches`)}</title></rect>`,
      );
    }
  for (const { kind, at, worker, text } of marks) {
    const y = places.get(worker);
    const [from, to] = y === undefined ? [top, bottom] : [y + 1, y + row - 1];
    parts.push(
      `<line class="mark ${kind}" x1="${x(at)}" x2="${x(at)}" y1="${from}" y2="${to}">` +
        `<title>${escaped(text)}</title></line>`,
    );
  }
  parts.push(
    `<text class="tick" x="${left}" y="${bottom + 20}">−${seconds} s</text>`,
    `<text class="tick" x="${width - right}" y="${bottom + 20}" text-anchor="end">the last result</text>`,
    '</svg>',
  );
  return `${parts.filter((part) => part !== '').join('\n')}\n`;
}
