/**
 * What follows a conviction for the steps that are committed already.
 *
 * The convict's earlier leaves were not all audited, so its steps are computed again from a state
 * before the first of them. Where the replay differs from the ledger, the wrong branch is set
 * aside and the chain goes on before it. `review.json` is durable before anything else, so a crash
 * in between begins the review again.
 */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from '../../shared/adapters/durable.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { eventNumber, readNumberedLines } from './line-parts.ts';
import type { RunContext } from './run-context.ts';

export interface Review {
  /** The convicted worker. */
  worker: string;
  /** First step in which it had a part that nobody checked. */
  since: number;
  /** The step that was open at the conviction. */
  until: number;
}

const reviewFile = (folder: string) => join(folder, 'review.json');

export async function readReview(folder: string): Promise<Review | null> {
  try {
    return JSON.parse(await readFile(reviewFile(folder), 'utf8')) as Review;
  } catch {
    return null;
  }
}

export const endReview = (folder: string): Promise<void> => rm(reviewFile(folder), { force: true });

/** The first committed step that a worker had a part in without every leaf being audited. */
async function firstUnchecked(folder: string, worker: string): Promise<number | null> {
  let first: number | null = null;
  for await (const line of readNumberedLines(join(folder, 'events.jsonl'), eventNumber)) {
    // Most lines need no parse: they do not name the worker.
    if (!line.includes(JSON.stringify(worker))) continue;
    let event: RunEvent;
    try {
      event = JSON.parse(line) as RunEvent;
    } catch {
      continue;
    }
    if (event.kind !== 'step-committed' || (event.audit ?? 0) >= 1) continue;
    if (!event.shares?.some((share) => share.worker === worker)) continue;
    const step = event.step - 1;
    first = first === null ? step : Math.min(first, step);
  }
  return first;
}

/** Writes down what must be looked at again; false where the convict had no part in the past. */
export async function reviewConvict(
  context: Pick<RunContext, 'folder' | 'model'>,
  worker: string,
): Promise<boolean> {
  const { folder, model } = context;
  const found = await firstUnchecked(folder, worker);
  if (found === null || found >= model.step) return false;
  const before = await readReview(folder);
  const since = Math.min(found, before?.since ?? found);
  const until = Math.max(model.step, before?.until ?? 0);
  const review: Review = { worker, since, until };
  await replaceFile(reviewFile(folder), `${JSON.stringify(review)}\n`);
  return true;
}

/** Takes checkpoints of the wrong branch out of the way; their files stay. */
export async function setCheckpointsAside(
  folder: string,
  firstWrong: number,
  generation: number,
): Promise<void> {
  const root = join(folder, 'checkpoints');
  for (const name of await readdir(root)) {
    const step = /^step-(\d{8})$/.exec(name)?.[1];
    if (step === undefined || Number(step) <= firstWrong) continue;
    await rename(join(root, name), join(root, `wrong-${generation}-${name}`));
  }
  await syncFolder(root);
}
