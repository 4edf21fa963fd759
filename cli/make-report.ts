/**
 * `tandem report` from its request to its files.
 */
import type { Gallery } from '../report/contents.ts';
import { report } from '../report/page.ts';
import type { Config } from '../shared/core/config.ts';
import { plural } from '../shared/core/format.ts';
import { checkOut, writeReport } from './report-files.ts';
import { reportRuns } from './report-runs.ts';
import { writeTensorboard } from './tensorboard.ts';

export interface ReportRequest {
  runs: readonly string[];
  /** HTML file. */
  out: string;
  title: string | null;
  /** Folder for TensorBoard's event files. */
  tensorboard: string | null;
  /** Pictures of nearest neighbours; `data`: null for each run's own. */
  gallery: { data: string | null; backend: Config['backend'] } | null;
}

export interface MadeReport {
  page: string;
  figures: string[];
  tensorboard: string[];
}

export async function makeReport(
  request: ReportRequest,
  version: string,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<MadeReport> {
  await checkOut(request.out);
  const { paths, runs } = await reportRuns(request.runs, say);
  const galleries: Gallery[] = [];
  for (const [i, { name }] of runs.entries()) {
    const target = paths[i];
    if (request.gallery === null || target === undefined) continue;
    const { makeGallery } = await import('./report-gallery.ts');
    galleries.push(await makeGallery({ ...request.gallery, target, name }, signal, say));
  }
  const one = runs.length === 1 ? `Run ${runs[0]?.name ?? ''}` : plural(runs.length, 'run');
  const contents = {
    title: request.title ?? one,
    made: new Date().toISOString(),
    version,
    runs,
    galleries,
  };
  const { page, figures } = await writeReport(report(contents), request.out, signal);
  const tensorboard: string[] = [];
  for (const [i, { name, kind, evaluations }] of runs.entries()) {
    const path = paths[i];
    if (request.tensorboard === null || path === undefined || kind === 'encoder') continue;
    const file = await writeTensorboard(request.tensorboard, name, path, evaluations, signal);
    if (file === null) say(`${path} has no events: nothing for TensorBoard`);
    else tensorboard.push(file);
  }
  return { page, figures, tensorboard };
}
