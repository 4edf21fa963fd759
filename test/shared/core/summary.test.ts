/**
 * The fold over events: what a view shows after any sequence of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventBody, RunEvent } from '../../../shared/core/events.ts';
import {
  emptySummary,
  fold,
  goodputParts,
  lossHistoryMax,
  shareOf,
  type RunSummary,
  stdRatio,
  workerActivity,
  workersMax,
} from '../../../shared/core/summary.ts';

/** Events numbered from 1, a second apart. */
function story(entries: readonly (readonly [number, EventBody])[]): RunEvent[] {
  return entries.map(([step, body], index) => ({
    seq: index + 1,
    time: new Date(Date.UTC(2026, 0, 1, 0, 0, index)).toISOString(),
    step,
    because: 'told',
    ...body,
  }));
}

const opened = (changes: Partial<Extract<EventBody, { kind: 'run-opened' }>> = {}): EventBody => ({
  kind: 'run-opened',
  version: 1,
  run: '0001',
  generation: 1,
  totalSteps: 10,
  stopAt: null,
  images: 640,
  batch: 64,
  microBatch: 32,
  model: 'resnet18',
  outputWidth: 2048,
  data: 'synthetic',
  ...changes,
});
const joined = (worker: string): EventBody => ({
  kind: 'worker-joined',
  worker,
  pid: 7,
  host: 'here',
  device: 'CPU',
});
const committed = (loss: number, imagesPerSecond = 64): EventBody => ({
  kind: 'step-committed',
  epoch: 0.1,
  loss,
  std: 0.02,
  learningRate: 0.01,
  imagesPerSecond,
  workers: 2,
  record: 'r',
});
const knn = (accuracy: number): EventBody => ({
  kind: 'knn-measured',
  accuracy,
  standardError: 0.02,
  queries: 100,
  references: 500,
});
const foldAll = (events: readonly RunEvent[], from: RunSummary = emptySummary): RunSummary =>
  events.reduce(fold, from);

test('a short run folds to its result', () => {
  const summary = foldAll(
    story([
      [0, opened()],
      [0, joined('a')],
      [0, joined('b')],
      [0, knn(0.3)],
      [1, committed(-0.1)],
      [2, committed(-0.2)],
      [2, { kind: 'worker-left', worker: 'b' }],
      [10, committed(-0.5)],
      [10, { kind: 'checkpoint-saved', checkpoint: 'c', digest: 'd', bytes: 9 }],
      [10, knn(0.5)],
      [
        10,
        { kind: 'run-done', stopped: false, loss: -0.5, std: 0.02, digest: 'd', checkpoint: 'c' },
      ],
    ]),
  );
  assert.equal(summary.state, 'done');
  assert.deepEqual([summary.step, summary.loss, summary.seq], [10, -0.5, 11]);
  assert.deepEqual([summary.knnBefore?.accuracy, summary.knnAfter?.accuracy], [0.3, 0.5]);
  assert.deepEqual(summary.checkpoint, {
    ...{ path: 'c', digest: 'd', step: 10, bytes: 9 },
    at: summary.checkpoint?.at,
  });
  assert.deepEqual(
    summary.workers.map((worker) => [worker.id, worker.state]),
    [
      ['a', 'finished'],
      ['b', 'left'],
    ],
  );
  assert.equal(summary.liveWorkers, 0);
  assert.deepEqual(
    summary.workers.map((worker) => workerActivity(worker, summary.step)),
    ['finished', 'left'],
  );
  assert.deepEqual(
    summary.lossHistory.map((point) => point.step),
    [1, 2, 10],
  );
  assert.equal(summary.secondsLeft, null);
});

test('an event folded twice counts once', () => {
  const events = story([
    [0, opened()],
    [1, committed(-0.1)],
    [1, { kind: 'warning', code: 'w', message: 'm' }],
  ]);
  const once = foldAll(events);
  assert.deepEqual(foldAll([...events, ...events]), once);
  assert.equal(once.warningCount, 1);
});

test('time left follows the rate, and the first step, which compiles, is forgotten', () => {
  const slow = foldAll(
    story([
      [0, opened()],
      [1, committed(0, 1)],
    ]),
  );
  assert.equal(slow.secondsLeft, 9 * 64);
  const later = foldAll(
    story([
      [0, opened()],
      [1, committed(0, 1)],
      [2, committed(0, 64)],
    ]),
  );
  assert.equal(later.imagesPerSecond, 64);
  assert.equal(later.secondsLeft, 8);
  const stopping = foldAll(
    story([
      [0, opened({ stopAt: 5 })],
      [1, committed(0, 64)],
    ]),
  );
  assert.equal(stopping.secondsLeft, 4);
});

test('the rate is smoothed in seconds a step, so that it predicts time', () => {
  const steps = Array.from(
    { length: 40 },
    (_, i) => [i + 1, committed(0, i % 2 ? 32 : 64)] as const,
  );
  const summary = foldAll(story([[0, opened({ totalSteps: 100 })], ...steps]));
  // Equal numbers of steps at 64 and at 32 images a second average to 42.7, not to 48.
  assert.ok(Math.abs((summary.imagesPerSecond ?? 0) - 42.7) < 3, `${summary.imagesPerSecond}`);
});

test('a new generation forgets workers and rate and goes on from where the run stood', () => {
  const summary = foldAll(
    story([
      [0, opened()],
      [0, joined('a')],
      [1, committed(-0.1)],
      [1, { kind: 'run-done', stopped: true, loss: -0.1, std: 0, digest: 'd', checkpoint: 'c' }],
      [1, opened({ generation: 2 })],
    ]),
  );
  assert.equal(summary.state, 'training');
  assert.deepEqual([summary.generation, summary.step, summary.result], [2, 1, null]);
  assert.deepEqual([summary.workers, summary.imagesPerSecond], [[], null]);
  assert.equal(summary.lossHistory.length, 1);
});

test('a rewind takes back the steps after it', () => {
  const entries: [number, EventBody][] = [
    [0, opened()],
    [1, committed(-0.1)],
    [2, committed(-0.2)],
    [3, committed(-0.3)],
    [3, { kind: 'rewound', from: 3, to: 1, source: 'checkpoint' }],
    [2, committed(-0.25)],
  ];
  const summary = foldAll(story(entries));
  assert.deepEqual(
    summary.lossHistory.map((point) => point.loss),
    [-0.1, -0.25],
  );
});

test('histories stay bounded over a hundred thousand events and keep first and recent steps', () => {
  let summary = foldAll(story([[0, opened({ totalSteps: 60_000 })]]));
  for (let step = 1; step <= 60_000; step += 1) {
    const [event] = story([[step, committed(-step)]]);
    if (event) summary = fold(summary, { ...event, seq: step + 1 });
  }
  assert.ok(summary.lossHistory.length <= lossHistoryMax);
  assert.ok(summary.lossHistory.length > lossHistoryMax / 2);
  assert.equal(summary.lossHistory[0]?.step, 1);
  assert.ok(60_000 - (summary.lossHistory.at(-1)?.step ?? 0) < summary.lossStride);
  for (let n = 0; n < workersMax + 50; n += 1) {
    const [event] = story([[1, joined(`w${n}`)]]);
    if (event) summary = fold(summary, { ...event, seq: summary.seq + 1 });
  }
  assert.equal(summary.workers.length, workersMax);
});

test('an event of a later version changes nothing but the number', () => {
  const [event] = story([[0, { kind: 'comet-seen' } as unknown as EventBody]]);
  assert.ok(event);
  const summary = fold(emptySummary, event);
  assert.deepEqual(
    { ...summary, seq: 0, lastAt: null, recent: [], goodput: emptySummary.goodput },
    emptySummary,
  );
});

test('std·√d is 1 for directions spread at random and 0 for one point', () => {
  assert.equal(stdRatio(1 / Math.sqrt(2048), 2048), 1);
  assert.equal(stdRatio(0, 2048), 0);
});

test('work is counted by worker, with shares, bars and the time by cause', () => {
  const phases = { ...{ wait: 100, lease: 0, broadcast: 50, compute: 700 } };
  const phasesMs = { ...phases, upload: 100, reduce: 40, commit: 10 };
  const row = (worker: string, microBatches: number) => ({
    ...{ worker, microBatches, fromMs: 100, toMs: 800, busyMs: 600, bytes: 1000 },
  });
  const step = (work: ReturnType<typeof row>[]): EventBody => ({
    ...(committed(-0.1) as Extract<EventBody, { kind: 'step-committed' }>),
    ...{ phasesMs, work },
  });
  const summary = foldAll(
    story([
      [0, opened()],
      [0, joined('a')],
      [0, joined('b')],
      [1, step([row('a', 3), row('b', 1)])],
      [2, step([row('a', 3), row('b', 1)])],
      [2, { kind: 'lease-moved', first: 0, count: 2, from: 'b' }],
      [2, { kind: 'worker-left', worker: 'b' }],
      [2, opened({ generation: 2 })],
      [2, { kind: 'rewound', from: 2, to: 1, source: 'a checkpoint' }],
      [2, step([])],
    ]),
  );
  const first = foldAll(
    story([
      [0, opened()],
      [0, joined('a')],
      [0, joined('b')],
      [1, step([row('a', 3), row('b', 1)])],
    ]),
  );
  const [a] = first.workers;
  assert.ok(a);
  assert.deepEqual([a.microBatches, a.microBatchMs, a.bytesPerSecond], [3, 200, 1000]);
  assert.equal(shareOf(a, first.workers), 0.75);
  assert.deepEqual(
    first.timeline.map(({ step, began, work }) => [step, began % 1000, work.length]),
    [[1, 0, 2]],
  );
  assert.deepEqual(
    summary.marks.map(({ kind }) => kind),
    ['opened', 'joined', 'joined', 'moved', 'left', 'opened', 'rewound'],
  );
  assert.equal(summary.goodput.movedMicroBatches, 2);
  const parts = Object.fromEntries(
    goodputParts(summary.goodput).map(({ cause, ms }) => [cause, ms]),
  );
  assert.deepEqual(parts, { training: 1800, waiting: 200, again: 1000, down: 1000, other: 5000 });
});

test('fifty thousand steps make a summary of bounded size, quickly', () => {
  const phasesMs = {
    wait: 0,
    lease: 1,
    broadcast: 2,
    compute: 80,
    upload: 9,
    reduce: 7,
    commit: 1,
  };
  const work = Array.from({ length: 8 }, (_, i) => ({
    ...{ worker: `worker-${i}`, microBatches: 4, fromMs: 1, toMs: 90, busyMs: 80, bytes: 1e6 },
  }));
  let summary = foldAll(story([[0, opened({ totalSteps: 50_000 })]]));
  for (let i = 0; i < 8; i += 1)
    summary = fold(summary, { ...story([[0, joined(`worker-${i}`)]])[0]!, seq: 2 + i });
  for (let step = 1; step <= 50_000; step += 1) {
    const time = new Date(Date.UTC(2026, 0, 1) + 100 * step).toISOString();
    const body = { ...(committed(-0.5) as object), phasesMs, work } as EventBody;
    summary = fold(summary, { seq: 100 + step, step, time, because: 'told', ...body } as RunEvent);
  }
  assert.ok(JSON.stringify(summary).length < 400_000);
  assert.equal(summary.workers[3]?.microBatches, 200_000);
  assert.ok(Math.abs((summary.secondsLeft ?? 9) - 0) < 1e-9);
});

test('measures along the way are kept in order, thinned where many, counted once after a rewind', () => {
  const told: [number, EventBody][] = [[0, opened()]];
  for (let step = 0; step <= 2000; step += 2) told.push([step, knn(step / 4000)]);
  const { knnHistory, knnBefore, knnAfter } = foldAll(story(told));
  assert.ok(knnHistory.length > 100 && knnHistory.length <= 256, String(knnHistory.length));
  assert.deepEqual([knnHistory[0]?.step, knnHistory.at(-1)?.step], [0, 2000]);
  assert.deepEqual(
    knnHistory.map(({ step }) => step),
    knnHistory.map(({ step }) => step).toSorted((a, b) => a - b),
  );
  assert.deepEqual([knnBefore?.accuracy, knnAfter?.accuracy], [0, 0.5]);
  assert.equal(knnAfter?.stdRatio, null);
  const again = foldAll(
    story([
      [0, opened()],
      [10, knn(0.2)],
      [20, knn(0.3)],
      [10, knn(0.2)],
      [20, { ...knn(0.3), stdRatio: 0.9 } as EventBody],
    ]),
  );
  assert.deepEqual(
    again.knnHistory.map(({ step, stdRatio: spread }) => [step, spread]),
    [
      [10, null],
      [20, 0.9],
    ],
  );
});
