/**
 * Event files for TensorBoard: every step of a run, not the thinned history, with the times at which
 * it happened. The file's name follows from the run's first event, so asking again replaces it.
 */
import { existsSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { eventNumber, readNumberedLines } from '../coordinator/shell/line-parts.ts';
import type { Evaluation } from '../shared/core/evaluation.ts';
import type { RunEvent } from '../shared/core/events.ts';
import { fileVersion, type Scalar, scalars, sessionStart } from '../shared/wire/tensorboard.ts';
import { parseEventLine } from './run-folder.ts';

const pieceBytes = 1 << 20;

/** A folder's name for a run: what file systems and TensorBoard take. */
export const folderName = (run: string): string =>
  run.replaceAll(/[^\p{L}\p{N}._ -]/gu, '_').replace(/^\.+/, '_') || '_';

const secondsOf = (time: string): number => Date.parse(time) / 1000;

function valuesOf(event: RunEvent, root: number): Scalar[] {
  if (event.kind === 'step-committed')
    return [
      { tag: 'train/loss', value: event.loss },
      { tag: 'train/std_ratio', value: event.std * root },
      { tag: 'train/learning_rate', value: event.learningRate },
      { tag: 'train/epoch', value: event.epoch },
      { tag: 'throughput/images_per_second', value: event.imagesPerSecond },
      { tag: 'throughput/workers', value: event.workers },
    ];
  if (event.kind === 'knn-measured') return [{ tag: 'eval/knn_monitor', value: event.accuracy }];
  return [];
}

const evaluationScalar = ({ kind, protocol, accuracy }: Evaluation): Scalar => ({
  tag: `eval/${kind === 'linear' ? `linear_${protocol.name}` : kind}`,
  value: accuracy,
});

/** Writes the file of one run below `folder`; resolves to its path, or null without events. */
export async function writeTensorboard(
  folder: string,
  name: string,
  run: string,
  evaluations: readonly Evaluation[],
  signal: AbortSignal,
): Promise<string | null> {
  const place = join(folder, folderName(name));
  const events = join(run, 'events.jsonl');
  if (!existsSync(events)) return null;
  let records: Uint8Array[] = [];
  let held = 0;
  let path = '';
  let handle: Awaited<ReturnType<typeof open>> | null = null;
  let root = 1;
  const put = async (record: Uint8Array): Promise<void> => {
    records.push(record);
    held += record.length;
    if (held >= pieceBytes) await flush();
  };
  const flush = async (): Promise<void> => {
    await handle?.writeFile(Buffer.concat(records));
    records = [];
    held = 0;
  };
  try {
    for await (const line of readNumberedLines(events, eventNumber)) {
      signal.throwIfAborted();
      const event = parseEventLine(line);
      if (event === null) continue;
      const seconds = secondsOf(event.time);
      if (handle === null) {
        await mkdir(place, { recursive: true });
        path = join(place, `events.out.tfevents.${Math.floor(seconds)}.tandem`);
        handle = await open(`${path}.tmp`, 'w');
        await put(fileVersion(seconds));
      }
      if (event.kind === 'run-opened') root = Math.sqrt(event.outputWidth);
      if (event.kind === 'rewound') await put(sessionStart(seconds, event.to + 1));
      const values = valuesOf(event, root);
      if (values.length > 0) await put(scalars(seconds, event.step, values));
    }
    for (const evaluation of evaluations) {
      const seconds = secondsOf(evaluation.time);
      await put(scalars(seconds, evaluation.checkpoint.step, [evaluationScalar(evaluation)]));
    }
    await flush();
  } finally {
    await handle?.close();
  }
  if (handle === null) return null;
  await rename(`${path}.tmp`, path);
  return path;
}
