/**
 * The table of workers on the full screen: who is there, what each does, how fast, in the latest steps.
 */
import {
  type RunSummary,
  shareOf,
  type WorkerActivity,
  workerActivity,
  type WorkerSummary,
} from '../shared/core/summary.ts';
import { shortDevice } from './event-line.ts';
import { bytes, count, percent, plural, rate } from '../shared/core/format.ts';
import type { Line, Style } from './screen-line.ts';
import { sparkline } from './sparkline.ts';

const styleOf: Record<WorkerActivity, Style> = {
  working: 'good',
  idle: 'warn',
  joined: 'accent',
  finished: 'dim',
  left: 'bad',
};

interface Column {
  title: string;
  width: number;
  cell: (worker: WorkerSummary) => string;
}

function columnsOf(summary: RunSummary, columns: number): Column[] {
  const wide = columns >= 110;
  const share = (worker: WorkerSummary) => shareOf(worker, summary.workers);
  return [
    { title: 'share', width: 7, cell: (w) => percent(share(w), 0) },
    {
      ...{ title: 'micro', width: 10 },
      cell: (w) => (w.microBatchMs === null ? '—' : `${rate(w.microBatchMs)} ms`),
    },
    {
      ...{ title: 'wire', width: 12 },
      cell: (w) => (w.bytesPerSecond === null ? '—' : `${bytes(w.bytesPerSecond)}/s`),
    },
    ...(wide
      ? [
          { title: 'done', width: 9, cell: (w: WorkerSummary) => count(w.microBatches) },
          { title: 'moved', width: 8, cell: (w: WorkerSummary) => count(w.movedMicroBatches) },
        ]
      : []),
  ];
}

/** Micro-batches of each of the latest steps, of the most that anybody had. */
function latestSteps(summary: RunSummary, id: string, width: number, most: number): string {
  const steps = summary.timeline.slice(-width);
  const done = steps.map(
    ({ work }) => work.find(({ worker }) => worker === id)?.microBatches ?? Number.NaN,
  );
  return sparkline(done, width, [0, most]).padEnd(width);
}

/** The heading and a line a worker, in so many rows; those that are there come first. */
export function workers(summary: RunSummary, columns: number, rows: number): Line[] {
  const rank = { live: 0, finished: 1, left: 2 };
  const list = [...summary.workers].sort(
    (a, b) => rank[a.state] - rank[b.state] || b.microBatchesPerStep - a.microBatchesPerStep,
  );
  const gone = list.filter(({ state }) => state === 'left').length;
  const there = plural(list.length - gone, 'worker');
  const heading = `${there}${gone > 0 ? `, ${gone} gone` : ''}`;
  const numbers = columnsOf(summary, columns);
  const name = Math.min(24, Math.max(8, ...list.slice(0, 64).map((w) => w.id.length)));
  const first = Math.max(name + 11, heading.length);
  const lately = columns >= 150 ? 48 : columns >= 110 ? 24 : 0;
  const most = Math.max(
    1,
    ...summary.timeline.slice(-lately).flatMap(({ work }) => work.map((row) => row.microBatches)),
  );
  const titleLine: Line = [
    [` ${heading.padEnd(first)}`, 'bold'],
    [numbers.map(({ title, width }) => title.padStart(width)).join(''), 'dim'],
    [lately > 0 ? `  ${'latest steps'.padEnd(lately)}` : '', 'dim'],
    ['  device', 'dim'],
  ];
  const room = Math.max(1, rows - 1);
  const shown = list.length > room ? list.slice(0, room - 1) : list;
  const lines = shown.map((worker): Line => {
    const activity = workerActivity(worker, summary.step);
    const plain: Style = worker.state === 'left' ? 'dim' : 'plain';
    return [
      [` ${worker.id.slice(0, name).padEnd(name)} `, plain],
      [activity.padEnd(first - name - 1), styleOf[activity]],
      [numbers.map(({ cell, width }) => cell(worker).padStart(width)).join(''), plain],
      [lately > 0 ? `  ${latestSteps(summary, worker.id, lately, most)}` : '', 'accent'],
      [`  ${shortDevice(worker.device)}`, 'dim'],
    ];
  });
  if (shown.length < list.length)
    lines.push([[` … and ${list.length - shown.length} more`, 'dim']]);
  return [titleLine, ...lines];
}
