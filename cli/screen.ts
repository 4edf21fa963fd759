/**
 * The full screen of `tandem watch` as text: a pure function of the summary, the size and the time.
 *
 * Lines are made of segments with a style, so that their width is known before any colour; a frame
 * never has more lines or columns than the screen. What matters least goes first where it is small.
 */
import type { RunEvent } from '../shared/core/events.ts';
import {
  goalOf,
  goodputParts,
  type HistoryPoint,
  type RunSummary,
  shareOf,
  stdRatio,
  type WorkerSummary,
} from '../shared/core/summary.ts';
import { eventText, shortDevice } from './event-line.ts';
import {
  bytes,
  count,
  duration,
  epoch,
  percent,
  plural,
  printable,
  rate,
  signed,
} from './format.ts';
import { bar } from './progress.ts';
import { sparkline } from './sparkline.ts';

export type Style = 'plain' | 'dim' | 'bold' | 'good' | 'warn' | 'bad' | 'accent';
export type Segment = readonly [text: string, style: Style];
export type Line = readonly Segment[];

export interface ScreenSize {
  columns: number;
  rows: number;
}

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
    const cut = [...printable(raw, 4000).replaceAll(/[\n\t]/g, ' ')].slice(0, left).join('');
    left -= [...cut].length;
    text += colour && style !== 'plain' && cut !== '' ? `${codes[style]}${cut}\u001b[0m` : cut;
  }
  return text;
}

const stateStyle: Record<RunSummary['state'], Style> = {
  opening: 'warn',
  training: 'good',
  stopped: 'warn',
  done: 'good',
  failed: 'bad',
};

/** Two ends of a line with space between; the right one goes where there is no room. */
function between(left: Line, right: Line, columns: number): Line {
  const width = (line: Line) => line.reduce((sum, [text]) => sum + [...text].length, 0);
  const gap = columns - width(left) - width(right);
  return gap < 1 ? left : [...left, [' '.repeat(gap), 'plain'], ...right];
}

function head(summary: RunSummary, columns: number, quietSeconds: number): Line[] {
  const { run, generation, model, images, batch, microBatch, state } = summary;
  const told = state === 'training' && summary.loss === null ? 'starting' : state;
  const life = generation > 1 ? `, life ${generation}` : '';
  const method = `${model}  ${plural(images, 'image')}  batch ${batch} = ${microBatch === 0 ? 0 : batch / microBatch} × ${microBatch}`;
  const title = between(
    [
      [` ${run || 'no run yet'} `, 'bold'],
      [`${told}${life}`, stateStyle[state]],
    ],
    [[`${method} `, 'dim']],
    columns,
  );
  const lines = [title];
  if (!summary.reproducible) lines.push([[' not reproducible: device classes are mixed', 'warn']]);
  if (state === 'training' && quietSeconds > 30)
    lines.push([
      [` no event for ${duration(quietSeconds)}: stalled, or its coordinator is gone`, 'bad'],
    ]);
  if (summary.failure !== null) lines.push([[` ${summary.failure.message}`, 'bad']]);
  return lines;
}

/** `12m30s ± 40s`. */
export function timeLeftText(summary: RunSummary): string {
  const { secondsLeft, secondsLeftSpread } = summary;
  if (secondsLeft === null) return '';
  const spread = secondsLeftSpread === null || secondsLeftSpread < 1 ? null : secondsLeftSpread;
  return `${duration(secondsLeft)}${spread === null ? '' : ` ± ${duration(spread)}`} left`;
}

function progress(summary: RunSummary, columns: number): Line[] {
  const goal = goalOf(summary);
  const share = goal > 0 ? summary.step / goal : 0;
  const epochs =
    summary.images > 0 ? (summary.totalSteps * summary.batch) / summary.images : summary.epoch;
  const texts = [
    `step ${count(summary.step)}/${count(goal)}`,
    `epoch ${epoch(summary.epoch)}/${epoch(Math.round(epochs * 10) / 10)}`,
    ...(summary.imagesPerSecond === null ? [] : [`${rate(summary.imagesPerSecond)} img/s`]),
    ...(summary.secondsLeft === null ? [] : [timeLeftText(summary)]),
  ];
  const width = Math.max(4, columns - 9);
  const full = bar(share, width);
  const filled = full.replaceAll('░', '');
  return [
    [
      [' ', 'plain'],
      [filled, 'good'],
      [full.slice(filled.length), 'dim'],
      [` ${percent(share, 0).replace(' ', '').padStart(5)}`, 'bold'],
    ],
    [[` ${texts.join('   ')}`, 'plain']],
  ];
}

function curve(
  name: string,
  points: readonly HistoryPoint[],
  value: (point: HistoryPoint) => number,
  range: [number, number] | null,
  last: string,
  width: number,
  style: Style,
): Line {
  return [
    [` ${name.padEnd(9)}`, 'plain'],
    [sparkline(points.map(value), width, range).padEnd(width), style],
    [` ${last}`, 'bold'],
  ];
}

function curves(summary: RunSummary, columns: number): Line[] {
  const { lossHistory: points, loss, std, outputWidth, learningRate } = summary;
  if (loss === null || std === null) {
    return [[[' first step under way (it compiles)', 'dim']]];
  }
  const width = Math.max(8, columns - 21);
  const ratio = stdRatio(std, outputWidth);
  const health: Style = ratio < 0.2 ? 'bad' : ratio < 0.5 ? 'warn' : 'good';
  const spread = (point: HistoryPoint) => stdRatio(point.std, outputWidth);
  const lines = [
    curve('loss', points, (p) => p.loss, null, signed(loss), width, 'accent'),
    curve('std·√d', points, spread, [0, 1.2], signed(ratio, 2), width, health),
  ];
  if (columns >= 120 && learningRate !== null) {
    lines.push(
      curve(
        'img/s',
        points,
        (p) => p.imagesPerSecond ?? 0,
        [0, Math.max(...points.map((p) => p.imagesPerSecond ?? 0))],
        rate(summary.imagesPerSecond ?? 0),
        width,
        'plain',
      ),
      curve(
        'learning',
        points,
        (p) => p.learningRate,
        null,
        learningRate.toPrecision(3),
        width,
        'dim',
      ),
    );
  }
  const knn = summary.knnHistory.map((k) => `step ${k.step}: ${percent(k.accuracy)}`);
  if (knn.length > 0) lines.push([[` kNN       ${knn.slice(-4).join('  ')}`, 'plain']]);
  return lines;
}

/** What the worker does, as far as the events tell. */
export function activityOf(worker: WorkerSummary, step: number): string {
  if (worker.state === 'left') return 'left';
  if (worker.lastStep === 0) return 'joined';
  return step - worker.lastStep <= 1 ? 'working' : 'idle';
}

const activityStyle: Record<string, Style> = {
  working: 'good',
  idle: 'warn',
  joined: 'accent',
  left: 'bad',
};

function workers(summary: RunSummary, columns: number, rows: number): Line[] {
  const order = (worker: WorkerSummary) => (worker.state === 'live' ? 0 : 1);
  const list = [...summary.workers].sort(
    (a, b) => order(a) - order(b) || b.microBatchesPerStep - a.microBatchesPerStep,
  );
  const gone = list.length - summary.liveWorkers;
  const heading = `${plural(summary.liveWorkers, 'worker')}${gone > 0 ? `, ${gone} gone` : ''}`;
  const wide = columns >= 110;
  const cells = (w: WorkerSummary): string[] => [
    percent(shareOf(w, summary.workers), 0).padStart(6),
    (w.microBatchMs === null ? '—' : `${rate(w.microBatchMs)} ms`).padStart(10),
    (w.bytesPerSecond === null ? '—' : `${bytes(w.bytesPerSecond)}/s`).padStart(11),
    ...(wide ? [count(w.microBatches).padStart(9), count(w.movedMicroBatches).padStart(6)] : []),
  ];
  const titles = ['share', 'micro', 'wire', ...(wide ? ['done', 'moved'] : [])];
  const widths = [6, 10, 11, ...(wide ? [9, 6] : [])];
  const numbers = titles.map((title, i) => title.padStart(widths[i] ?? 0)).join('');
  const name = Math.min(24, Math.max(8, ...list.slice(0, 64).map((w) => w.id.length)));
  const device = Math.max(0, columns - name - 12 - numbers.length - 2);
  const titleLine: Line = [
    [` ${heading.padEnd(name + 11).slice(0, Math.max(name + 11, heading.length))}`, 'bold'],
    [numbers, 'dim'],
    [`  ${'device'.slice(0, device)}`, 'dim'],
  ];
  const room = Math.max(1, rows - 1);
  const shown = list.length > room ? list.slice(0, room - 1) : list;
  const lines = shown.map((w): Line => {
    const activity = activityOf(w, summary.step);
    return [
      [` ${w.id.slice(0, name).padEnd(name)} `, 'plain'],
      [activity.padEnd(10), activityStyle[activity] ?? 'plain'],
      [cells(w).join(''), w.state === 'live' ? 'plain' : 'dim'],
      [`  ${shortDevice(w.device).slice(0, device)}`, 'dim'],
    ];
  });
  if (shown.length < list.length)
    lines.push([[` … and ${list.length - shown.length} more`, 'dim']]);
  return [titleLine, ...lines];
}

const alarming = [
  'warning',
  'worker-left',
  'worker-refused',
  'rewound',
  'lease-moved',
  'run-failed',
];

function eventLines(summary: RunSummary, rows: number): Line[] {
  if (rows < 2) return [];
  const shown = summary.recent.slice(-(rows - 1));
  const line = (event: RunEvent): Line => [
    [` ${String(event.time).slice(11, 19)}  `, 'dim'],
    [eventText(event, summary.outputWidth), alarming.includes(event.kind) ? 'warn' : 'plain'],
  ];
  return [[[' events', 'bold']], ...shown.map(line)];
}

function goodputLine(summary: RunSummary): Line {
  const parts = goodputParts(summary.goodput).filter(({ share }) => share >= 0.005);
  const text = parts.map(({ name, share }) => `${name} ${percent(share, 0)}`).join('  ');
  return [[` time      ${text}`, 'dim']];
}

/**
 * The lines of a frame, at most `rows` of them. `quietSeconds`: since the last event, 0 where the
 * run is over or read from the past.
 */
export function frame(summary: RunSummary, size: ScreenSize, quietSeconds: number): Line[] {
  const { columns, rows } = size;
  const blank: Line = [];
  const top = [
    ...head(summary, columns, quietSeconds),
    ...progress(summary, columns),
    blank,
    ...curves(summary, columns),
    goodputLine(summary),
    blank,
  ];
  const foot: Line[] =
    summary.result === null
      ? [[[' q or Ctrl-C leaves; the training goes on', 'dim']]]
      : [[[` digest ${summary.result.digest}`, 'good']]];
  const room = Math.max(0, rows - top.length - foot.length);
  const events = Math.min(summary.recent.length + 1, Math.max(4, Math.floor(room / 2)));
  const list = workers(summary, columns, Math.max(2, room - events - 1));
  const rest = eventLines(summary, room - list.length - 1);
  return [...top, ...list, blank, ...rest]
    .slice(0, Math.max(0, rows - 1))
    .concat(foot)
    .slice(0, rows);
}
