/** Which steps a conviction brings into question, as the events tell it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Convict } from '../../../coordinator/core/state.ts';
import { readReview, reviewConvict } from '../../../coordinator/shell/review.ts';
import type { RunContext } from '../../../coordinator/shell/run-context.ts';
import { runFolder } from '../../support/tiny-run.ts';

const convict: Convict = { worker: 'w2', host: 'a', leaf: 1, step: 6, others: ['w3'] };

const joined = (worker: string, host: string) => ({ kind: 'worker-joined', worker, host });
const committed = (step: number, workers: string[], audit = 0.1) => ({
  ...{ kind: 'step-committed', step, audit },
  shares: workers.map((worker, first) => ({ worker, first, count: 1 })),
});
/** What the ledger alone tells of a step. */
const bare = (step: number) => ({ kind: 'step-committed', step });

/** The first step of the review that follows, or null; six steps are committed. */
async function since(
  t: TestContext,
  events: readonly object[],
  modelStep = 6,
): Promise<number | null> {
  const folder = await runFolder(t);
  const lines = events.map((event) => `${JSON.stringify(event)}\n`);
  await writeFile(join(folder, 'events.jsonl'), lines.join(''));
  const [ledger, plan] = [{ length: 6 }, { generation: 1 }];
  const context = { folder, model: { step: modelStep }, ledger, plan } as RunContext;
  const again = await reviewConvict(context, convict);
  const review = await readReview(folder);
  assert.equal(again, review !== null);
  if (review !== null) assert.deepEqual([review.until, review.convicts], [6, [convict]]);
  return review?.since ?? null;
}

const honest = [1, 2, 3, 4, 5, 6].map((step) => committed(step, ['w1', 'w3']));
const but = (...others: { step: number }[]) =>
  honest.map((event) => others.find(({ step }) => step === event.step) ?? event);

test('a convict without a part in the past brings nothing into question', async (t) => {
  assert.equal(await since(t, honest), null);
});

test('its first step that was not wholly audited is computed again, with all that follow', async (t) => {
  const events = but(committed(2, ['w2'], 1), committed(4, ['w1', 'w2']), committed(5, ['w2']));
  assert.equal(await since(t, events), 3);
});

test('a step of whose workers no event tells any more may have been the convict’s', async (t) => {
  assert.equal(await since(t, but(bare(3))), 2);
  assert.equal(await since(t, honest.slice(0, 4)), 4, 'nothing at all is told of step 5');
});

test('so may those of names that its host had before, and not those of its neighbours', async (t) => {
  const hosts = [joined('w1', 'b'), joined('w3', 'a'), joined('w9', 'a'), joined('w2', 'a')];
  assert.equal(await since(t, [...hosts, ...honest]), null);
  assert.equal(await since(t, [...hosts, ...but(committed(5, ['w9']))]), 4);
});

test('what the ledger holds and is being computed again is in question too', async (t) => {
  assert.equal(await since(t, but(committed(5, ['w2'])), 3), 4);
});
