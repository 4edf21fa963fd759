/**
 * The result of a run: the closing block for people and the one object for programs.
 */
import { isAbsolute, join } from 'node:path';
import { goalOf, type KnnResult, type RunSummary, stdRatio } from '../shared/core/summary.ts';
import { duration, epoch, percent, plural, rate, signed, table } from '../shared/core/format.ts';

/** What lies beside the events and belongs to the closing block. */
export interface ResultSurroundings {
  /** The run folder as the user would type it. */
  run: string;
  /** Path of the loss curve, or null where there is none. */
  lossPicture: string | null;
  /** What guessing reaches on these labels; null where there are none. */
  chance: { classes: number; share: number } | null;
  /** Names of the program, as the user would type it. */
  program: string;
}

/** A path or word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function knnText(before: KnnResult | null, after: KnnResult | null): string {
  const one = (r: KnnResult): string =>
    `${percent(r.accuracy)} ± ${(100 * r.standardError).toFixed(1)}`;
  if (before !== null && after !== null) return `${one(before)} → ${one(after)}`;
  return one((after ?? before) as KnnResult);
}

/** A checkpoint as the user can open it; events name it relative to the run folder. */
export function checkpointPath(run: string, checkpoint: string): string {
  return isAbsolute(checkpoint) ? checkpoint : join(run, checkpoint);
}

/** What std·√d says about collapse (FACTS, SimSiam). */
export function healthOf(ratio: number): string {
  if (ratio < 0.1) return 'collapsed: all images map to one point';
  if (ratio < 0.5) return 'low: 1 is healthy, 0 is collapse';
  return 'healthy: near 1; 0 is collapse';
}

/** The command worth trying next. */
export function nextCommand(summary: RunSummary, around: ResultSurroundings): string {
  const { run, program } = around;
  if (summary.result?.stopped === true) return `${program} train --run ${shellWord(run)}`;
  if (summary.data.startsWith('synthetic')) {
    return `${program} train --data YOUR_PHOTOS --size 64 --epochs 20 --knn`;
  }
  if (summary.objective === 'supervised') return `${program} eval classifier ${shellWord(run)}`;
  return `${program} digest ${shellWord(run)}`;
}

/** The closing block; empty where the run has no result. */
export function resultBlock(summary: RunSummary, around: ResultSurroundings): string {
  const { result } = summary;
  if (result === null) return '';
  const { openedAt, lastAt, imagesPerSecond } = summary;
  const seconds =
    openedAt === null || lastAt === null ? 0 : (Date.parse(lastAt) - Date.parse(openedAt)) / 1000;
  const head = [
    result.stopped
      ? `Stopped at step ${summary.step} of ${summary.totalSteps}`
      : `Done: ${plural(summary.step, 'step')}`,
    `${epoch(summary.epoch)} ${summary.epoch === 1 ? 'epoch' : 'epochs'}`,
    ...(imagesPerSecond === null ? [] : [`${rate(imagesPerSecond)} img/s`]),
    duration(seconds),
  ];
  const supervised = summary.objective === 'supervised';
  const towards = supervised ? 'cross-entropy: down to 0' : 'from 0 down to −1';
  const rows: [string, string, string?][] = [['loss', signed(result.loss), towards]];
  if (summary.outputWidth > 0 && !supervised) {
    const ratio = stdRatio(result.std, summary.outputWidth);
    rows.push(['std·√d', signed(ratio, 2), healthOf(ratio)]);
  }
  if (summary.knnBefore !== null || summary.knnAfter !== null) {
    const { chance } = around;
    const guess =
      chance === null ? '' : `guessing among ${chance.classes}: ${percent(chance.share)}`;
    rows.push(['kNN accuracy', knnText(summary.knnBefore, summary.knnAfter), guess]);
  }
  rows.push(
    ['checkpoint', checkpointPath(around.run, result.checkpoint)],
    ['digest', result.digest],
  );
  if (around.lossPicture !== null) rows.push(['loss curve', around.lossPicture]);
  // Long values would push the remarks off the screen: only rows with a remark share a column.
  const remarked = table(
    rows.filter((r) => r[2] !== undefined).map((r) => [`  ${r[0].padEnd(12)}`, r[1], r[2] ?? '']),
  );
  const plain = rows.filter((r) => r[2] === undefined).map((r) => `  ${r[0].padEnd(12)}  ${r[1]}`);
  const marks = summary.reproducible
    ? []
    : ['', 'Not reproducible: devices of several classes computed this run (--mixed-devices).'];
  const next = `Next: ${nextCommand(summary, around)}`;
  return [head.join(', '), '', remarked, ...plain, ...marks, '', next, ''].join('\n');
}

/** The object that `--json` prints as the last line of stdout. */
export function resultObject(summary: RunSummary, run: string): Record<string, unknown> {
  const { step, epoch: epochs, result, imagesPerSecond } = summary;
  const checkpoint = result?.checkpoint ?? summary.checkpoint?.path ?? null;
  return {
    step,
    epoch: epochs,
    loss: result?.loss ?? summary.loss,
    std: result?.std ?? summary.std,
    imagesPerSecond,
    digest: result?.digest ?? summary.checkpoint?.digest ?? null,
    checkpoint: checkpoint === null ? null : checkpointPath(run, checkpoint),
    run,
  };
}

/** Is there nothing left to do in this run? */
export function isComplete(summary: RunSummary): boolean {
  return summary.state === 'done' && summary.step >= goalOf({ ...summary, stopAt: null });
}
