/**
 * The figures of some runs: loss side by side and in one, std·√d, kNN, learning rate, throughput,
 * accuracies of evaluations, and for each run who computed when.
 *
 * Runs of different batches and lengths are laid over epochs, which mean the same to all of them.
 */
import { type HistoryPoint, type RunSummary, stdRatio } from '../shared/core/summary.ts';
import type { Figure, ReportRun } from './contents.ts';
import { type Curve, curvesFigure, percentNumber, plainNumber } from './curves-figure.ts';

/** Epochs behind a step of a run; of the last step where the history tells no other ratio. */
export function epochOf(summary: RunSummary, step: number): number {
  const known = summary.lossHistory.findLast((point) => point.step >= 1);
  return known === undefined ? 0 : (step * known.epoch) / known.step;
}

type Value = (point: HistoryPoint, summary: RunSummary) => number;

function curvesOf(runs: readonly ReportRun[], kind: Curve['kind'], value: Value): Curve[] {
  return runs.map(({ name, summary }, index) => ({
    name,
    index,
    kind,
    points: summary.lossHistory.map((point) => ({ x: point.epoch, y: value(point, summary) })),
  }));
}

const lossOf: Value = ({ loss }) => loss;
const epochs = 'Epochs';

/** The loss of each run in a panel of its own, all with one scale: SimSiam-TF's figure. */
export function lossPanels(runs: readonly ReportRun[]): Figure[] {
  const curves = curvesOf(runs, 'smoothed', lossOf);
  const all = curves.flatMap(({ points }) => points.map(({ y }) => y).filter(Number.isFinite));
  const atLeast: [number, number] = all.length > 0 ? [least(all), greatest(all)] : [-1, 0];
  const widest = greatest([0, ...curves.flatMap(({ points }) => points.map(({ x }) => x))]);
  return curves.map((curve) =>
    curvesFigure({
      ...{ id: `loss-${curve.index + 1}`, title: `Loss of ${curve.name}`, across: epochs },
      ...{ atLeast, widest, show: plainNumber, curves: [curve] },
    }),
  );
}

const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const greatest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));

/** The figures in which all runs lie over each other. */
export function sharedFigures(runs: readonly ReportRun[]): {
  loss: Figure;
  std: Figure;
  knn: Figure | null;
  rate: Figure;
  speed: Figure;
} {
  const measured = runs.map(
    ({ name, summary }, index): Curve => ({
      name,
      index,
      kind: 'measured',
      points: summary.knnHistory.map(({ step, accuracy, standardError }) => ({
        x: epochOf(summary, step),
        y: accuracy,
        error: standardError,
      })),
    }),
  );
  return {
    loss: curvesFigure({
      ...{ id: 'loss', title: 'Loss', across: epochs, show: plainNumber },
      curves: curvesOf(runs, 'smoothed', lossOf),
    }),
    std: curvesFigure({
      ...{ id: 'std', title: 'std · √d of the outputs', across: epochs, show: plainNumber },
      atLeast: [0, 1.1],
      guide: { y: 1, text: '1: healthy · 0: collapsed' },
      curves: curvesOf(runs, 'smoothed', ({ std }, { outputWidth }) => stdRatio(std, outputWidth)),
    }),
    knn: measured.every(({ points }) => points.length === 0)
      ? null
      : curvesFigure({
          ...{ id: 'knn', title: 'kNN accuracy while training', across: epochs },
          show: percentNumber,
          curves: measured,
        }),
    rate: curvesFigure({
      ...{ id: 'learning-rate', title: 'Learning rate', across: epochs, show: plainNumber },
      atLeast: [0, 0],
      curves: curvesOf(runs, 'line', ({ learningRate }) => learningRate),
    }),
    speed: curvesFigure({
      ...{ id: 'throughput', title: 'Images a second', across: epochs, show: plainNumber },
      atLeast: [0, 0],
      curves: curvesOf(runs, 'line', ({ imagesPerSecond }) => imagesPerSecond ?? Number.NaN),
    }),
  };
}
