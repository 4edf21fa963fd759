/** Where a step's time goes: every instant counts for one phase, every result for one worker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepMeter } from '../../../coordinator/shell/step-meter.ts';
import {
  type CoreEvent,
  type Effect,
  initialState,
  type Plan,
  type State,
  type WorkerState,
} from '../../../coordinator/core/state.ts';
import { sumPhases } from '../../../shared/core/summary.ts';

const plan: Plan = {
  generation: 1,
  protoVersion: 1,
  leaves: 4,
  totalSteps: 10,
  stopAt: null,
  minWorkers: 1,
  checkpointEvery: 5,
  mixedDevices: false,
  knn: false,
  samples: 64,
  silenceMs: 1000,
  seed: 1,
  audit: 0,
};
const tick: CoreEvent = { kind: 'tick', now: 0 };
const worker = (id: string, attempt: number | null): WorkerState => ({
  id,
  pid: 1,
  host: 'h',
  description: '',
  phase: 'live',
  sameClass: true,
  lastHeard: 0,
  suspect: false,
  draining: false,
  lease:
    attempt === null
      ? null
      : { first: 0, end: 2, attempt, done: 0, progressAt: 0, overdue: false, check: false },
  survey: null,
  leafTimes: [],
  leafMs: null,
  heartbeatGaps: [],
  lastHeartbeat: null,
  handBacks: 0,
});
const stateOf = (phase: State['phase'], workers: WorkerState[]): State => ({
  ...initialState(plan, 0, null, null, false),
  phase,
  workers: Object.fromEntries(workers.map((w) => [w.id, w])),
});
const lease = (id: string, attempt: number, index: number): Effect => ({
  ...{ kind: 'lease', worker: id, step: 0, node: { level: 1, index }, attempt, gray: [] },
});
const ready = (id: string): CoreEvent => ({
  ...{ kind: 'node-ready', now: 0, worker: id, generation: 1, step: 0 },
  ...{ node: { level: 1, index: 0 }, leaves: [], attempt: 0 },
});

test('phases sum to the time of the step, and work goes to who did it', () => {
  let time = 1000;
  const meter = stepMeter(() => time);
  const after = (ms: number, act: () => void) => {
    time += ms;
    act();
  };
  after(5, () => meter.turn(stateOf('gathering', []), tick, []));
  after(7, () => meter.turn(stateOf('computing', [worker('a', null)]), tick, []));
  const both = [worker('a', 1), worker('b', 2)];
  after(2, () =>
    meter.turn(stateOf('computing', both), tick, [lease('a', 1, 0), lease('b', 2, 1)]),
  );
  meter.pulling(1);
  meter.pulling(1);
  after(10, () => meter.pulling(-1));
  after(20, () => meter.pulling(-1));
  after(30, () => {
    meter.turn(stateOf('computing', [worker('a', null), worker('b', 2)]), ready('a'), []);
  });
  // Its lease is gone without a result: nothing counts for it.
  after(40, () => meter.turn(stateOf('computing', [worker('a', null)]), tick, []));
  after(1, () => meter.turn(stateOf('computing', [worker('a', 3)]), tick, [lease('a', 3, 1)]));
  after(50, () => meter.turn(stateOf('reducing', [worker('a', null)]), ready('a'), []));
  meter.bytes('gradients-in', 100, 'a');
  after(60, () => meter.turn(stateOf('committing', [worker('a', null)]), tick, []));
  time += 8;
  const { phasesMs, work } = meter.report();
  assert.equal(sumPhases(phasesMs), 233);
  const { wait, lease: leasing, broadcast, compute, upload, reduce, commit } = phasesMs;
  assert.deepEqual([wait, leasing, broadcast, compute, commit], [12, 3, 10, 140, 8]);
  assert.equal(upload + reduce, 60);
  assert.deepEqual(work, [
    { worker: 'a', microBatches: 4, fromMs: 14, toMs: 165, busyMs: 110, bytes: 100 },
  ]);
  time += 9;
  assert.equal(sumPhases(meter.report().phasesMs), 9, 'the next step begins where this one ended');
});
