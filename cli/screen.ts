/**
 * The full screen of `tandem watch` as text: a pure function of the summary, the size and the time.
 *
 * A frame never has more lines or columns than the screen. What matters least goes first where it is
 * small; where it is large, curves become plots and more events are shown.
 */
import { isAlarming, type RunEvent } from '../shared/core/events.ts';
import {
  goalOf,
  goodputParts,
  phaseNames,
  type RunSummary,
  sumPhases,
} from '../shared/core/summary.ts';
import { eventText } from './event-line.ts';
import { count, duration, epoch, percent, plural, rate } from '../shared/core/format.ts';
import { curves } from './screen-curves.ts';
import { between, type Line, type Style } from './screen-line.ts';
import { workers } from './screen-workers.ts';

export interface ScreenSize {
  columns: number;
  rows: number;
}

/** Without an event for so long a run that goes on is told to be stalled, seconds. */
const stalledSeconds = 30;

const stateStyle: Record<RunSummary['state'], Style> = {
  opening: 'warn',
  training: 'good',
  stopped: 'warn',
  done: 'good',
  failed: 'bad',
};

function head(summary: RunSummary, columns: number, quietSeconds: number): Line[] {
  const { run, generation, model, images, batch, microBatch, state } = summary;
  const told = state === 'training' && summary.loss === null ? 'starting' : state;
  const life = generation > 1 ? `, life ${generation}` : '';
  const method =
    microBatch === 0
      ? ''
      : `${model}  ${plural(images, 'image')}  batch ${batch} = ${batch / microBatch} × ${microBatch} `;
  const title = between(
    [
      [` ${run || 'no run yet'} `, 'bold'],
      [`${told}${life}`, stateStyle[state]],
    ],
    [[method, 'dim']],
    columns,
  );
  const lines = [title];
  if (!summary.reproducible) lines.push([[' not reproducible: device classes are mixed', 'warn']]);
  if (state === 'training' && quietSeconds > stalledSeconds)
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
  const share = goal > 0 ? Math.min(1, summary.step / goal) : 0;
  const epochs =
    summary.images > 0 ? (summary.totalSteps * summary.batch) / summary.images : summary.epoch;
  const { state, goodput } = summary;
  const over = state === 'done' || state === 'stopped' || state === 'failed';
  const texts = [
    `step ${count(summary.step)}/${count(goal)}`,
    `epoch ${epoch(summary.epoch)}/${epoch(Math.round(epochs * 10) / 10)}`,
    ...(summary.imagesPerSecond === null ? [] : [`${rate(summary.imagesPerSecond)} img/s`]),
    ...(summary.secondsLeft === null ? [] : [timeLeftText(summary)]),
    ...(over ? [`${duration(goodput.totalMs / 1000)} in all`] : []),
  ];
  const width = Math.max(4, columns - 8);
  const filled = Math.floor(share * width + 1e-9);
  return [
    [
      [` ${'━'.repeat(filled)}`, stateStyle[state]],
      ['─'.repeat(width - filled), 'dim'],
      [` ${percent(share, 0).replace(' ', '').padStart(5)}`, 'bold'],
    ],
    [[` ${texts.join('   ')}`, 'plain']],
  ];
}

/** Where the time of the whole run went, and that of the last step. */
function times({ goodput, phasesMs }: RunSummary, room: number): Line[] {
  const shares = (parts: readonly { name: string; share: number }[]): string =>
    parts
      .filter(({ share }) => share >= 0.005)
      .map(({ name, share }) => `${name} ${percent(share, 0)}`)
      .join('   ');
  const lines: Line[] = [[[` time     ${shares(goodputParts(goodput))}`, 'dim']]];
  const total = phasesMs === null ? 0 : sumPhases(phasesMs);
  if (phasesMs === null || total === 0 || room < 2) return lines;
  const parts = phaseNames.map((name) => ({ name, share: phasesMs[name] / total }));
  const step = duration(total / 1000);
  const took = total < 10_000 ? `${count(total)} ms` : step;
  return [...lines, [[` step     ${shares(parts)}   of ${took}`, 'dim']]];
}

function eventLines(summary: RunSummary, rows: number): Line[] {
  if (rows < 2) return [];
  const shown = summary.recent.slice(-(rows - 1));
  const line = (event: RunEvent): Line => [
    [` ${String(event.time).slice(11, 19)}  `, 'dim'],
    [eventText(event, summary.outputWidth), isAlarming(event) ? 'warn' : 'plain'],
  ];
  return [[[' events', 'bold']], ...shown.map(line)];
}

function foot({ state, result }: RunSummary): Line {
  if (result !== null) return [[` digest ${result.digest}`, 'good']];
  const over = state === 'failed' ? 'q leaves' : 'q leaves; the training goes on';
  return [[` ${over}`, 'dim']];
}

/**
 * The lines of a frame, at most `rows` of them. `quietSeconds`: since the last event, 0 where the
 * run is over or read from the past.
 */
export function frame(summary: RunSummary, size: ScreenSize, quietSeconds: number): Line[] {
  const { columns, rows } = size;
  const blank: Line = [];
  const opening = [...head(summary, columns, quietSeconds), ...progress(summary, columns), blank];
  // Curves become plots where the table and some events still have room below them.
  const people = Math.min(summary.workers.length, 8);
  const top = [
    ...opening,
    ...curves(summary, columns, rows - opening.length - people - 14),
    ...times(summary, rows - 23),
    blank,
  ];
  const last = foot(summary);
  const room = Math.max(0, rows - top.length - 1);
  const events = Math.min(summary.recent.length + 1, Math.max(4, Math.floor(room / 2)));
  const list = workers(summary, columns, Math.max(2, room - events - 1));
  const body = [...top, ...list, blank, ...eventLines(summary, room - list.length - 1)];
  const shown = body.slice(0, Math.max(0, rows - 1));
  // The last row is the foot's, wherever the rest ends.
  while (shown.length < rows - 1) shown.push(blank);
  return [...shown, last].slice(0, rows);
}
