/**
 * The runs of a report, read from their folders: the one fold over the events, the evaluations, and
 * names that tell the runs apart.
 */
import { basename, resolve } from 'node:path';
import type { ReportRun } from '../report/contents.ts';
import {
  isEncoderFolder,
  type LoadedEncoder,
  readEncoderFolder,
} from '../shared/adapters/encoder-folder.ts';
import { Failure } from '../shared/core/failures.ts';
import { emptySummary, type RunSummary } from '../shared/core/summary.ts';
import { evaluationsOf } from './evaluations.ts';
import { checkRunFolder, summaryOf } from './run-folder.ts';

/** As many last parts of each path as tell it from the others. */
export function namesOf(paths: readonly string[]): string[] {
  const whole = paths.map((path) =>
    resolve(path)
      .split(/[\\/]/)
      .filter((part) => part !== ''),
  );
  return whole.map((parts, i) => {
    for (let take = 1; take <= parts.length; take += 1) {
      const name = parts.slice(-take).join('/');
      if (whole.every((other, j) => i === j || other.slice(-take).join('/') !== name)) return name;
    }
    return basename(paths[i] ?? '') || '/';
  });
}

const encoderSummary = ({ record }: LoadedEncoder): RunSummary => ({
  ...emptySummary,
  model: record.model,
  state: 'done',
});

/** Runs first, then encoder folders; `paths` in the same order. */
export async function reportRuns(
  paths: readonly string[],
  say: (line: string) => void,
): Promise<{ paths: string[]; runs: ReportRun[] }> {
  if (new Set(paths.map((path) => resolve(path))).size < paths.length)
    throw new Failure('bad-option', 'a run is named twice: give each one once.');
  const isEncoder = await Promise.all(paths.map(isEncoderFolder));
  for (const [i, path] of paths.entries()) if (!isEncoder[i]) checkRunFolder(path);
  const names = namesOf(paths);
  const runs: ReportRun[] = [];
  const encoders: ReportRun[] = [];
  for (const [i, path] of paths.entries()) {
    const encoder = isEncoder[i] === true;
    const summary = encoder ? encoderSummary(await readEncoderFolder(path)) : await summaryOf(path);
    const evaluations = await evaluationsOf(path, say);
    const kind = encoder ? 'encoder' : 'run';
    (encoder ? encoders : runs).push({ name: names[i] ?? path, kind, summary, evaluations });
  }
  const ordered = [false, true].flatMap((wanted) =>
    paths.filter((_, i) => (isEncoder[i] === true) === wanted),
  );
  return { paths: ordered, runs: [...runs, ...encoders] };
}
