/**
 * What makes a step and a run durable: the identity and the commit.
 *
 * The order of a commit is NUMERICS 7: fence, ledger (fsynced), swap, event, announcement, warm
 * slot. Everything before the ledger's append can be done again; everything after it will be.
 */
import { join } from 'node:path';
import { canonicalJson } from '../../shared/core/canonical-json.ts';
import type { EventBody } from '../../shared/core/events.ts';
import { type LedgerRecord, f64Bits, fromF64Bits, sealRecord } from '../../shared/core/ledger.ts';
import { epochsAfter } from '../../shared/core/order.ts';
import { auditedLeaves } from '../../shared/core/audit.ts';
import { learningRates } from '../../shared/core/schedule.ts';
import { treeMeanF64 } from '../../shared/core/tree.ts';
import type { DeviceClass, LeafReport, Share } from '../core/state.ts';
import { openLedger, sha256Text } from './ledger-file.ts';
import { readCurrent, swap } from './model-state.ts';
import type { RunContext } from './run-context.ts';
import { endReview } from './review.ts';
import { checkFence, type RunRecord, writeRun } from './run-folder.ts';
import { checkpoint } from './save-checkpoint.ts';
import type { Reduced } from './arithmetic-messages.ts';
import { writeWarmSlot } from './warm-slots.ts';

export type Record = (body: EventBody, because: string) => Promise<void>;

/** SHA-256 over method, data fingerprint and device class (NUMERICS 1). */
export function identityOf(run: RunRecord): string {
  const stages = run.deviceClass?.stages ?? [];
  return sha256Text(
    canonicalJson({ method: run.method, fingerprint: run.fingerprint, deviceClass: stages }),
  );
}

/** The first worker's canary becomes the run's class: identity, ledger and step 0 are durable. */
export async function adoptClass(
  context: RunContext,
  deviceClass: DeviceClass,
  record: Record,
): Promise<void> {
  const { run, folder, plan } = context;
  run.deviceClass = deviceClass;
  run.identity = identityOf(run);
  await writeRun(folder, run, plan.generation);
  context.ledger = await openLedger(join(folder, 'ledger.jsonl'), plan.generation, run.identity);
  await checkpoint(context, record);
}

export interface CommitTask {
  step: number;
  leaves: LeafReport[];
  /** Live workers. */
  workers: number;
  /** Whose sums it is made of. */
  shares: Share[];
  reduced: Reduced;
  /** Wall time of the step. */
  seconds: number;
}

export async function commitStep(
  context: RunContext,
  task: CommitTask,
  record: Record,
): Promise<void> {
  const { ledger, model, folder, plan } = context;
  if (ledger === null) throw new Error('a commit before the device class is known');
  await checkFence(folder, plan.generation);
  const sealed = recordOf(context, task, ledger.previousOf(task.step));
  await ledger.commit(sealed);
  // A newer coordinator copies the ledger after taking its generation: with none by now, its copy
  // will hold this record.
  await checkFence(folder, plan.generation);
  if (context.review !== null && task.step + 1 >= context.review.until) {
    await endReview(folder);
    context.review = null;
  }
  const { weights, momentum, statistics } = sealed;
  swap(model, { weights, momentum, statistics }, task.reduced.sent);
  const committed = { ...committedEvent(context, sealed, task), ...context.meter.report() };
  await record(committed, 'all its micro-batches are summed');
  for (const link of context.links.values())
    link.send({
      stepCommitted: {
        ...{ generation: plan.generation, step: task.step },
        weightsHash: model.sent.hash,
      },
    });
  readCurrent(model, warm(context, record));
}

function recordOf(context: RunContext, task: CommitTask, previous: string): LedgerRecord {
  const { step, leaves, reduced } = task;
  return sealRecord(
    {
      step,
      learningRate: learningRates(context.run.method, step),
      inputHashes: leaves.map((leaf) => leaf.inputHash),
      leafHashes: leaves.map((leaf) => leaf.leafHash),
      gradient: reduced.gradient,
      weights: reduced.weights,
      momentum: reduced.momentum,
      statistics: reduced.statistics,
      loss: f64Bits(treeMeanF64(leaves.map((leaf) => leaf.loss))),
      std: f64Bits(treeMeanF64(leaves.map((leaf) => leaf.std))),
      previous,
    },
    sha256Text,
  );
}

/** The event of a committed step; `task` is null where only the ledger is left to tell of it. */
export function committedEvent(
  context: Pick<RunContext, 'run' | 'plan'>,
  sealed: Pick<LedgerRecord, 'step' | 'loss' | 'std' | 'hash'>,
  task: Pick<CommitTask, 'seconds' | 'workers' | 'shares'> | null,
): EventBody {
  const { method } = context.run;
  const { seed, leaves, audit } = context.plan;
  const audited = audit > 0 ? auditedLeaves(seed, sealed.step, leaves, audit).length : 0;
  return {
    kind: 'step-committed',
    epoch: epochsAfter(sealed.step + 1, method.batch, context.plan.samples),
    loss: fromF64Bits(sealed.loss),
    std: fromF64Bits(sealed.std),
    learningRate: learningRates(method, sealed.step).base,
    imagesPerSecond: task === null ? 0 : method.batch / task.seconds,
    workers: task?.workers ?? 0,
    record: sealed.hash,
    ...(task === null ? {} : { shares: task.shares, audit }),
    ...(task === null || audited === 0 ? {} : { audited }),
  };
}

/** Rewrites the warm slot; a disk that fails costs only the quick restart, and is said. */
async function warm(context: RunContext, record: Record): Promise<void> {
  const { folder, model } = context;
  try {
    await writeWarmSlot(folder, model.step, model.current, model.hashes);
  } catch (error) {
    const message = `the warm slot could not be written: ${(error as Error).message}`;
    await record({ kind: 'warning', code: 'disk', message }, 'a restart would go back further');
  }
}
