/**
 * The tables of a report about runs: what each is, where its time went, the values behind the curves.
 */
import { goodputParts, type RunSummary, stdRatio } from '../shared/core/summary.ts';
import type { ReportRun } from './contents.ts';
import {
  digestText,
  duration,
  element,
  type Html,
  joined,
  number,
  percent,
  raw,
  table,
  whole,
} from './html.ts';

function stateOf({ state, step, totalSteps, failure }: RunSummary): string {
  if (failure !== null) return `failed: ${failure.code}`;
  return step >= totalSteps && totalSteps > 0 ? 'done' : state;
}

/** A row a run: what it is and what came of it. */
export function runsTable(runs: readonly ReportRun[]): Html {
  return table({
    caption: 'The runs',
    head: [
      ...['run', 'state', 'model', 'images', 'batch', 'steps', 'epochs', 'loss', 'std·√d'],
      ...['kNN', 'images/s', 'digest', 'reproducible'],
    ],
    numbers: [3, 4, 5, 6, 7, 8, 9, 10],
    rows: runs.map(({ name, kind, summary: s }, index) => [
      joined([swatch(index), element('span', {}, name)]),
      kind === 'encoder' ? 'encoder' : stateOf(s),
      s.model,
      orNone(s.images),
      s.batch === 0 ? '—' : `${whole(s.batch)} = ${s.batch / s.microBatch} × ${s.microBatch}`,
      s.step === s.totalSteps ? orNone(s.step) : `${whole(s.step)} of ${whole(s.totalSteps)}`,
      s.epoch === 0 ? '—' : number(s.epoch, 1),
      number(s.loss, 4),
      s.std === null ? '—' : number(stdRatio(s.std, s.outputWidth), 3),
      knnText(s),
      number(s.imagesPerSecond, 0),
      digestText(s.result?.digest ?? s.checkpoint?.digest ?? null),
      s.reproducible ? 'yes' : 'no: mixed devices',
    ]),
  });
}

const orNone = (value: number): string => (value === 0 ? '—' : whole(value));

/** `37.4 → 54.7 %` */
function knnText({ knnBefore, knnAfter }: RunSummary): string {
  const [before, after] = [knnBefore, knnAfter].map((knn) =>
    knn === null ? null : (100 * knn.accuracy).toFixed(1),
  );
  if (before != null && after != null) return `${before} → ${after} %`;
  return after == null ? '—' : `${after} %`;
}

/** A stroke in the colour and the dashes of a run. */
export function swatch(index: number): Html {
  const dash = Math.floor(index / 8) % 4;
  return raw(
    '<svg class="fig swatch" viewBox="0 0 24 10" aria-hidden="true">' +
      `<path class="line c${index % 8} d${dash}" d="M1 5H23"/></svg>`,
  );
}

/** Which colour is which run; nothing where there is one. */
export function legend(runs: readonly ReportRun[]): Html {
  if (runs.length < 2) return raw('');
  const items = runs.map(({ name }, index) => element('li', {}, swatch(index), name));
  return element('ul', { class: 'legend', 'aria-label': 'Colours of the runs' }, ...items);
}

const causes = { training: 0, waiting: 6, again: 3, down: 4, other: 5 } as const;

/** Where the time of a run went, as a bar and in words. */
export function goodput({ name, summary }: ReportRun): Html {
  const parts = goodputParts(summary.goodput).filter(({ ms }) => ms > 0);
  let x = 0;
  const bars = parts.map(({ cause, share, name: part }) => {
    const bar =
      `<rect class="f${causes[cause]}" x="${x.toFixed(1)}" y="0" ` +
      `width="${(900 * share).toFixed(1)}" height="20"><title>${part}</title></rect>`;
    x += 900 * share;
    return bar;
  });
  const words = parts.map(({ cause, name: part, ms, share }) => [
    joined([
      raw(
        `<svg class="fig key" viewBox="0 0 10 10" aria-hidden="true">` +
          `<rect class="f${causes[cause]}" width="10" height="10"/></svg>`,
      ),
      element('span', {}, part),
    ]),
    duration(ms / 1000),
    percent(share, 1),
  ]);
  return joined([
    raw(
      `<svg class="fig stack" viewBox="0 0 900 20" preserveAspectRatio="none" aria-hidden="true">` +
        `<rect class="track" width="900" height="20"/>${bars.join('')}</svg>`,
    ),
    table({
      caption: `Where the time of ${name} went: ${duration(summary.goodput.totalMs / 1000)} in all`,
      head: ['part', 'time', 'share'],
      rows: words,
      numbers: [1, 2],
    }),
  ]);
}

const valuesMax = 24;

/** The values behind the curves, folded away: about two dozen steps of a run. */
export function valuesOf({ name, summary }: ReportRun): Html {
  const { lossHistory, outputWidth } = summary;
  const stride = Math.max(1, Math.ceil(lossHistory.length / valuesMax));
  const points = lossHistory.filter((_, i) => i % stride === 0 || i === lossHistory.length - 1);
  const rows = points.map((point) => [
    whole(point.step),
    number(point.epoch, 2),
    number(point.loss, 4),
    number(stdRatio(point.std, outputWidth), 3),
    number(point.learningRate, 5),
    number(point.imagesPerSecond, 1),
  ]);
  const head = ['step', 'epoch', 'loss', 'std·√d', 'learning rate', 'images/s'];
  return element(
    'details',
    {},
    element('summary', {}, `Values of ${name}`),
    table({
      caption: `${name}, every ${stride} steps kept`,
      head,
      rows,
      numbers: [0, 1, 2, 3, 4, 5],
    }),
  );
}
