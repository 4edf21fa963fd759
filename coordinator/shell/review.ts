/**
 * What follows a conviction for the steps that are committed already.
 *
 * The convict's earlier leaves were not all audited, so its steps are computed again from a state
 * before the first of them. Where the replay differs from the ledger, the wrong branch is set
 * aside and the chain goes on before it. `review.json` is durable before the conviction is told, so a
 * crash in between begins the review again, and names the convict where its event was lost.
 */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../shared/adapters/durable.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import type { Convict } from '../core/state.ts';
import { eventNumber, readNumberedLines } from './line-parts.ts';
import type { RunContext } from './run-context.ts';
import { replaceFenced } from './run-folder.ts';

export interface Review {
  /** The newest convict last. */
  convicts: Convict[];
  /** First step in which one had a part that nobody checked. */
  since: number;
  /** The step that was open at the conviction. */
  until: number;
}

const reviewName = 'review.json';
const reviewFile = (folder: string) => join(folder, reviewName);

export async function readReview(folder: string): Promise<Review | null> {
  try {
    return JSON.parse(await readFile(reviewFile(folder), 'utf8')) as Review;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

export const endReview = (folder: string): Promise<void> => rm(reviewFile(folder), { force: true });

/**
 * The first of the committed steps that a convict may have had a part in without every leaf being
 * audited, under any name that its host had and that nobody else has now. A step of whose shares no
 * event tells (the newest lines of `events.jsonl` do not survive a power cut) counts as one.
 */
async function firstUnchecked(
  folder: string,
  { worker, host, others }: Convict,
  steps: number,
): Promise<number | null> {
  const names = new Set([worker]);
  const innocent = new Uint8Array(steps);
  const guilty = new Uint8Array(steps);
  for await (const line of readNumberedLines(join(folder, 'events.jsonl'), eventNumber)) {
    if (!line.includes('"step-committed"') && !line.includes('"worker-joined"')) continue;
    let event: RunEvent;
    try {
      event = JSON.parse(line) as RunEvent;
    } catch {
      continue;
    }
    if (event.kind === 'worker-joined' && event.host === host && !others.includes(event.worker))
      names.add(event.worker);
    if (event.kind !== 'step-committed' || event.step > steps) continue;
    const { shares, audit, step } = event;
    const part = shares === undefined || shares.some((share) => names.has(share.worker));
    const unchecked = part && (audit ?? 0) < 1;
    (unchecked ? guilty : innocent)[step - 1] = 1;
  }
  const first = innocent.findIndex((told, step) => told === 0 || guilty[step] === 1);
  return first < 0 ? null : first;
}

/** Writes down what must be looked at again; false where the convict had no part in the past. */
export async function reviewConvict(
  context: Pick<RunContext, 'folder' | 'model' | 'plan' | 'ledger'>,
  convict: Convict,
): Promise<boolean> {
  const { folder, model, plan } = context;
  // Behind a restart the ledger is ahead of the model, and what it holds is in question too.
  const steps = Math.max(model.step, context.ledger?.length ?? 0);
  const found = await firstUnchecked(folder, convict, steps);
  if (found === null) return false;
  const before = await readReview(folder);
  const review: Review = {
    convicts: [...(before?.convicts ?? []), convict],
    since: Math.min(found, before?.since ?? found),
    until: Math.max(steps, before?.until ?? 0),
  };
  await replaceFenced(folder, plan.generation, reviewName, `${JSON.stringify(review)}\n`);
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
