/** Late, silent and slow workers: what hung on them is computed elsewhere, once it pays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leafLimitMs, median, silenceLimitMs } from '../../../coordinator/core/deadlines.ts';
import type { WorkerState } from '../../../coordinator/core/state.ts';
import { all, type Drive, drive, nodeReady, told } from '../../support/core-drive.ts';

const times = (leafTimes: number[], heartbeatGaps: number[] = []) =>
  ({ leafTimes, heartbeatGaps }) as WorkerState;

/** Steps in which every worker takes `ms` a leaf, so that all are measured. */
function measure(run: Drive, ms: Record<string, number>, steps: number): void {
  for (let step = 0; step < steps; step += 1) {
    while (run.state.phase === 'computing') {
      const busy = Object.values(run.state.workers).filter(({ lease }) => lease !== null);
      const next = busy
        .map(({ id, lease }) => ({
          id,
          at: (lease?.progressAt ?? 0) + (ms[id] ?? 1) * ((lease?.end ?? 0) - (lease?.first ?? 0)),
        }))
        .sort((a, b) => a.at - b.at)[0];
      assert.ok(next, 'somebody computes');
      run.now = Math.max(run.now, next.at);
      for (const { id } of busy) run.send({ kind: 'heartbeat', worker: id, attempt: 0, done: 0 });
      run.finish(next.id);
    }
    run.send({ kind: 'reduced', step: run.state.step });
    run.send({ kind: 'committed', step: run.state.step });
  }
}

const beat = (run: Drive, worker: string, done = 0) =>
  run.send({
    kind: 'heartbeat',
    worker,
    attempt: run.state.workers[worker]?.lease?.attempt ?? 0,
    done,
  });

test('a limit follows the median and the deviation, within floor and ceiling', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1]), 2.5);
  assert.equal(leafLimitMs(times([])), 600_000, 'a first micro-batch compiles: only the ceiling');
  assert.equal(leafLimitMs(times([9000])), 600_000);
  assert.equal(leafLimitMs(times([10_000, 10_000, 10_000])), 20_000);
  assert.ok((leafLimitMs(times([8000, 10_000, 12_000])) ?? 0) > 25_000, 'scattered: more patience');
  assert.equal(leafLimitMs(times([1, 1, 1])), 2000, 'the floor');
  assert.equal(leafLimitMs(times([1e9, 1e9])), 600_000, 'the ceiling');
  assert.equal(leafLimitMs(times([10, 10, 10, 10, 90_000])), 2000, 'one outlier changes nothing');
  assert.equal(silenceLimitMs(times([], []), 15_000), 15_000);
  assert.equal(silenceLimitMs(times([], [1000, 1000, 1000]), 15_000), 4000);
  assert.equal(silenceLimitMs(times([], [9000, 9000]), 15_000), 15_000);
});

test('a lease without progress is overdue by its own times; others take it, the worker stays', () => {
  const run = drive({ leaves: 4, minWorkers: 2 });
  run.join('a');
  run.join('b');
  measure(run, { a: 1000, b: 1000 }, 2);
  assert.equal(run.leaseOf('a'), '1/0');
  run.now += 1990;
  beat(run, 'a');
  run.finish('b');
  assert.deepEqual(told(run.send({ kind: 'tick' })), [], 'late by less than usual');
  run.now += 20;
  beat(run, 'a');
  const late = run.send({ kind: 'tick' });
  assert.deepEqual(told(late), [{ kind: 'lease-moved', first: 0, count: 2, from: 'a' }]);
  assert.ok(run.state.workers['a'], 'it is not thrown out');
  assert.equal(run.leaseOf('b'), '1/0');
  const both = run.finish('a');
  assert.equal(all(both, 'reduce').length, 1, 'its result still counts when it is the first');
  assert.deepEqual(
    all(both, 'shrink').map(({ worker, end }) => [worker, end]),
    [['b', 0]],
    'the other one may stop',
  );
});

test('progress of a lease is news: only a leaf without an end is late', () => {
  const run = drive({ leaves: 8, minWorkers: 2 });
  run.join('a');
  run.join('b');
  measure(run, { a: 1000, b: 1000 }, 2);
  for (let done = 1; done < 4; done += 1) {
    run.now += 1500;
    beat(run, 'a', done);
    beat(run, 'b', done);
    assert.deepEqual(told(run.send({ kind: 'tick' })), []);
  }
  assert.equal(run.state.workers['a']?.lease?.done, 3);
});

test('a silent worker gets nothing, and what it holds is computed elsewhere, before it is lost', () => {
  const run = drive({ leaves: 4, minWorkers: 2 });
  run.join('a');
  run.join('b');
  measure(run, { a: 1000, b: 1000 }, 3);
  for (const worker of Object.values(run.state.workers)) worker.heartbeatGaps = [1000, 1000];
  const silentSince = run.now;
  while (run.now < silentSince + 3900) {
    run.now += 900;
    beat(run, 'b', 0);
  }
  run.now = silentSince + 4300;
  beat(run, 'b', 1);
  const effects = run.send({ kind: 'tick' });
  assert.deepEqual(told(effects), [{ kind: 'lease-moved', first: 0, count: 2, from: 'a' }]);
  assert.equal(run.state.workers['a']?.suspect, true);
  run.finish('b');
  assert.equal(run.leaseOf('b'), '1/0', 'nobody waits for it');
  beat(run, 'a');
  assert.equal(run.state.workers['a']?.suspect, false, 'heard again, trusted again');
});

test('a worker that falls silent while its gradient is pulled does not hold the step', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  measure(run, { a: 1000, b: 1000 }, 3);
  for (const worker of Object.values(run.state.workers)) worker.heartbeatGaps = [1000, 1000];
  run.finish('a');
  run.finish('b');
  assert.equal(run.state.phase, 'reducing');
  const since = run.now;
  while (run.now < since + 4500) {
    run.now += 900;
    beat(run, 'b');
  }
  const effects = run.send({ kind: 'tick' });
  assert.equal(all(effects, 'pause-reduce').length, 1);
  assert.equal(run.leaseOf('b'), '0/0');
});

test('without another worker nobody is late', () => {
  const run = drive({ leaves: 2 });
  run.join('a');
  measure(run, { a: 100 }, 3);
  run.now += 60_000;
  beat(run, 'a');
  assert.deepEqual(told(run.send({ kind: 'tick' })), []);
});

test('an idle worker takes the end of a slow lease, and the slow one is told', () => {
  const run = drive({ leaves: 8, minWorkers: 2 });
  run.join('slow');
  run.join('fast');
  measure(run, { slow: 1000, fast: 1000 }, 2);
  run.finish('fast');
  beat(run, 'slow', 0);
  assert.equal(run.leaseOf('slow'), '1/0', 'four are a half each: two are moved');
  assert.equal(run.leaseOf('fast'), '1/1');
});

test('what would be over before it pays is left alone', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  measure(run, { a: 1000, b: 1000 }, 3);
  run.now += 900;
  const effects = run.finish('a');
  assert.deepEqual(all(effects, 'lease'), [], 'the other one is nearly done');
});

test('the last leaf of a ten times slower worker is computed twice; the first result wins', () => {
  const run = drive({ leaves: 2, minWorkers: 2, totalSteps: 40 });
  run.join('slow');
  run.join('fast');
  measure(run, { slow: 10_000, fast: 1000 }, 16);
  assert.equal(run.leaseOf('slow'), '0/0');
  run.now += 1000;
  const taken = run.finish('fast');
  assert.equal(run.leaseOf('fast'), '0/0');
  assert.equal(run.leaseOf('slow'), '0/0', 'it goes on');
  assert.deepEqual(told(taken), [{ kind: 'lease-moved', first: 0, count: 1, from: 'slow' }]);
  const done = run.finish('fast');
  assert.equal(all(done, 'reduce').length, 1);
  assert.deepEqual(
    all(done, 'shrink').map(({ worker }) => worker),
    ['slow'],
  );
  const before = run.state;
  const late = run.send(nodeReady(run.state, 'slow', { level: 0, index: 0 }));
  assert.deepEqual(told(late), [], 'equal bits are no news');
  run.state = before;
  const other = nodeReady(run.state, 'slow', { level: 0, index: 0 }, { leafHash: 'other bits' });
  assert.equal(all(run.send(other), 'fail')[0]?.code, 'not-deterministic');
});

test('S = 32 with 4 workers, one of them ten times slower: at least 90 % of 3.1/4', () => {
  const run = drive({ leaves: 32, minWorkers: 4 });
  const ms: Record<string, number> = { a: 1000, b: 1000, c: 1000, slow: 10_000 };
  for (const worker of Object.keys(ms)) run.join(worker);
  measure(run, ms, 4);
  const began = run.now;
  measure(run, ms, 1);
  const leafTimes = (run.now - began) / 1000;
  const ideal = 32 / 3.1;
  assert.ok(leafTimes <= ideal / 0.9, `a step takes ${leafTimes} leaf times, ideal is ${ideal}`);
});
