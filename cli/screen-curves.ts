/**
 * The curves of the full screen: a line each where rows are few, plots side by side where there is room.
 */
import { type HistoryPoint, type RunSummary, stdRatio } from '../shared/core/summary.ts';
import { count, percent, rate, signed } from '../shared/core/format.ts';
import { between, beside, type Line, type Style } from './screen-line.ts';
import { linePlot, sparkline } from './sparkline.ts';

interface Curve {
  name: string;
  /** As short as the name of a line. */
  short: string;
  values: readonly number[];
  /** Null: from the least to the greatest value. */
  range: [number, number] | null;
  last: string;
  axis: (value: number) => string;
  style: Style;
}

/** Rows of a plot without its title. */
const plotRows = 7;
/** A plot's axis, left of it. */
const axisColumns = 9;

function curvesOf(summary: RunSummary): Curve[] {
  const { lossHistory: points, loss, std, outputWidth, learningRate, imagesPerSecond } = summary;
  if (loss === null || std === null) return [];
  const ratio = stdRatio(std, outputWidth);
  const health: Style = ratio < 0.2 ? 'bad' : ratio < 0.5 ? 'warn' : 'good';
  const of = (value: (point: HistoryPoint) => number): number[] => points.map(value);
  const speeds = of((p) => p.imagesPerSecond ?? Number.NaN);
  const knn = summary.knnHistory;
  const best = knn.at(-1);
  const curves: Curve[] = [
    {
      ...{ name: 'loss', short: 'loss', values: of((p) => p.loss), range: null },
      ...{ last: signed(loss), axis: (v: number) => signed(v, 3), style: 'accent' },
    },
    {
      ...{ name: 'std·√d: 1 healthy, 0 collapsed', short: 'std·√d' },
      values: of((p) => stdRatio(p.std, outputWidth)),
      ...{ range: [0, 1.2], last: signed(ratio, 2), axis: (v: number) => signed(v, 1) },
      style: health,
    },
    {
      ...{ name: 'images a second', short: 'img/s', values: speeds },
      range: [0, Math.max(1, ...speeds.filter(Number.isFinite))],
      ...{ last: rate(imagesPerSecond ?? 0), axis: rate, style: 'plain' },
    },
    {
      ...{ name: 'learning rate', short: 'learning', values: of((p) => p.learningRate) },
      range: [0, Math.max(1e-12, ...of((p) => p.learningRate))],
      ...{ last: (learningRate ?? 0).toPrecision(3), axis: (v: number) => v.toPrecision(2) },
      style: 'dim',
    },
  ];
  if (best !== undefined && knn.length > 2)
    curves.push({
      ...{ name: 'kNN accuracy', short: 'kNN', values: knn.map(({ accuracy }) => accuracy) },
      range: [0, Math.max(...knn.map(({ accuracy }) => accuracy))],
      ...{ last: percent(best.accuracy), axis: (v: number) => percent(v, 0), style: 'good' },
    });
  return curves;
}

/** kNN measures in words, while they are too few for a curve. */
function measures({ knnHistory }: RunSummary): Line[] {
  if (knnHistory.length === 0 || knnHistory.length > 2) return [];
  const words = knnHistory.map(
    ({ step, accuracy, standardError }) =>
      `step ${count(step)}: ${percent(accuracy)} ± ${(100 * standardError).toFixed(1)}`,
  );
  return [[[` kNN      ${words.join('   ')}`, 'plain']]];
}

function asLine(curve: Curve, columns: number): Line {
  const width = Math.max(8, columns - 10 - 12);
  return [
    [` ${curve.short.padEnd(9)}`, 'plain'],
    [sparkline(curve.values, width, curve.range).padEnd(width), curve.style],
    [` ${curve.last}`, 'bold'],
  ];
}

function asPlot(curve: Curve, columns: number): Line[] {
  const width = Math.max(8, columns - axisColumns - 2);
  const { rows, least, most } = linePlot(curve.values, width, plotRows, curve.range);
  const axis = (i: number): string =>
    i === 0 ? curve.axis(most) : i === rows.length - 1 ? curve.axis(least) : '';
  return [
    between(
      [[` ${' '.repeat(axisColumns)}${curve.name}`, 'plain']],
      [[`${curve.last} `, 'bold']],
      columns,
    ),
    ...rows.map(
      (row, i): Line => [
        [`${axis(i).padStart(axisColumns)}${i === 0 || axis(i) ? '┤' : '│'}`, 'dim'],
        [row, curve.style],
      ],
    ),
  ];
}

/** The curves, in so many rows at most where `rows` allows plots at all. */
export function curves(summary: RunSummary, columns: number, rows: number): Line[] {
  const all = curvesOf(summary);
  if (all.length === 0) return [[[' first step under way (it compiles)', 'dim']]];
  const abreast = columns >= 110 ? 2 : 1;
  const bands = Math.floor(rows / (plotRows + 1));
  if (bands * abreast < 2) {
    const wanted = columns >= 110 && rows >= 4 ? all : all.filter(({ short }) => isMain(short));
    return [...wanted.map((curve) => asLine(curve, columns)), ...measures(summary)];
  }
  // Which four, where there are five: how well it learns is worth more than the schedule.
  const order = ['loss', 'std·√d', 'kNN', 'img/s', 'learning'];
  const plotted = order
    .flatMap((short) => all.filter((curve) => curve.short === short))
    .slice(0, bands * abreast);
  // None stands alone in a band: its room is better given to events.
  if (plotted.length % abreast !== 0) plotted.pop();
  const lines: Line[] = [];
  const half = Math.floor(columns / abreast);
  for (let i = 0; i < plotted.length; i += abreast) {
    const [left, right] = plotted.slice(i, i + abreast).map((curve) => asPlot(curve, half - 1));
    lines.push(...(right === undefined ? (left ?? []) : beside(left ?? [], right, half)));
  }
  return [...lines, ...measures(summary)];
}

const isMain = (short: string): boolean => ['loss', 'std·√d', 'kNN'].includes(short);
