/** Who computed when: a row a worker, a bar a step, marks for what happened in between. */
import { count, draw } from './format.js';

const rowsMax = 24;
const row = 22;
const left = 118;
const width = 1000;

/** The workers that the timeline shows: those at work in it, then the latest others. */
function rowsOf(summary) {
  const seen = new Set();
  for (const step of summary.timeline) for (const work of step.work) seen.add(work.worker);
  for (const worker of summary.workers.toReversed()) seen.add(worker.id);
  return [...seen].slice(0, rowsMax).sort((a, b) => (a < b ? -1 : 1));
}

const order = ['checkpoint', 'opened', 'rewound', 'joined', 'moved', 'left'];

/** When a worker was there, as pairs of times within [begin, end]; from its marks. */
function presences(summary, id, begin, end) {
  const found = [];
  const worker = summary.workers.find((known) => known.id === id);
  // Marks are the latest so many: who has none was there all along, or only its work is known.
  let since = Date.parse(worker?.joinedAt ?? '') <= begin ? begin : null;
  for (const { kind, at, worker: whose } of summary.marks) {
    const gone = (kind === 'left' && whose === id) || kind === 'opened';
    if (kind === 'joined' && whose === id) since ??= Math.max(begin, at);
    if (!gone) continue;
    if (since !== null && at > begin) found.push([since, at]);
    since = null;
  }
  if (since === null && worker?.state === 'live')
    since = Math.max(begin, Date.parse(worker.joinedAt));
  if (since !== null && Number.isFinite(since)) found.push([since, end]);
  return found;
}

/** Where a worker was lost. */
function cross(x, y, text) {
  const size = 5;
  const path = `M${x - size} ${y - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`;
  const made = draw('path', { class: 'cross', d: path, fill: 'none' });
  made.append(draw('title', {}, text));
  return made;
}

/** Draws the timeline into `place`; the latest so many milliseconds of it. */
export function showTimeline(place, summary, spanMs = 120_000) {
  const rows = rowsOf(summary);
  const ends = summary.timeline.flatMap(({ began, work }) => work.map((w) => began + w.toMs));
  const last = Math.max(...ends, ...summary.marks.map(({ at }) => at));
  const svg = draw('svg', { viewBox: `0 0 ${width} ${rows.length * row + 24}`, role: 'img' });
  if (rows.length === 0 || !Number.isFinite(last)) {
    svg.setAttribute('aria-label', 'No work yet');
    place.replaceChildren(svg);
    return;
  }
  const begin = Math.max(
    last - spanMs,
    Math.min(...summary.timeline.map(({ began }) => began), ...summary.marks.map(({ at }) => at)),
  );
  const span = Math.max(1, last - begin);
  const x = (at) => left + ((at - begin) / span) * (width - left - 4);
  const bottom = rows.length * row;
  for (const [i, id] of rows.entries()) {
    const y = i * row;
    for (const [from, to] of presences(summary, id, begin, last)) {
      const lane = { class: 'lane', x: x(from), y: y + 1, height: row - 2 };
      svg.append(draw('rect', { ...lane, width: Math.max(1, x(to) - x(from)) }));
    }
    svg.append(draw('line', { class: 'grid', x1: left, x2: width, y1: y + row, y2: y + row }));
    const name = draw('text', { x: left - 8, y: y + 15, 'text-anchor': 'end' });
    name.textContent = id.length > 17 ? `${id.slice(0, 16)}…` : id;
    svg.append(name);
  }
  const at = new Map(rows.map((id, i) => [id, i * row]));
  for (const { step, began, work } of summary.timeline) {
    for (const { worker, microBatches, fromMs, toMs } of work) {
      const y = at.get(worker);
      if (y === undefined || began + toMs < begin) continue;
      const from = x(Math.max(begin, began + fromMs));
      const bar = draw('rect', { class: 'bar', x: from, y: y + 4, height: row - 8, rx: 2 });
      bar.setAttribute('width', Math.max(1, x(began + toMs) - from - 0.5));
      bar.append(draw('title', {}, `${worker}, step ${step}: ${microBatches} micro-batches`));
      svg.append(bar);
    }
  }
  // What matters most is drawn last, on top.
  const ordered = [...summary.marks].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  for (const mark of ordered) {
    if (mark.at < begin) continue;
    const y = at.get(mark.worker);
    const [top, end] = y === undefined ? [0, bottom] : [y + 1, y + row - 1];
    const line = draw('line', {
      class: `mark ${mark.kind}`,
      x1: x(mark.at),
      x2: x(mark.at),
      y1: top,
      y2: end,
    });
    line.append(draw('title', {}, mark.text));
    svg.append(line);
    if (mark.kind === 'left' && y !== undefined)
      svg.append(cross(x(mark.at), y + row / 2, mark.text));
  }
  const seconds = span / 1000;
  for (const part of [0, 0.25, 0.5, 0.75, 1])
    svg.append(
      draw(
        'text',
        {
          x: left + part * (width - left - 4),
          y: bottom + 16,
          'text-anchor': part === 1 ? 'end' : 'middle',
        },
        part === 1 ? 'latest' : `−${count((1 - part) * seconds)} s`,
      ),
    );
  const latest = summary.marks.slice(-3).map(({ text }) => text);
  const label = `${rows.length} workers over ${count(seconds)} seconds. Latest: ${latest.join('; ') || 'nothing'}.`;
  svg.setAttribute('aria-label', label);
  place.replaceChildren(svg);
}
