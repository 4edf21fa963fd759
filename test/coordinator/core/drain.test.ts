/** Leaving in good order, and coming back with what is finished. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  all,
  connectedEvent,
  drive,
  one,
  reportOf,
  stages,
  told,
} from '../../support/core-drive.ts';

test('a drained worker is let go at once where nothing hangs on it', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  run.join('c');
  const effects = run.send({ kind: 'worker-draining', worker: 'c', reason: 'SIGTERM' });
  assert.equal(one(effects, 'release').worker, 'c');
  assert.equal(run.state.workers['c'], undefined);
  assert.deepEqual(
    told(effects).map(({ kind }) => kind),
    ['worker-left'],
  );
});

test('a draining worker gives its lease back and stays until what it finished is committed', () => {
  const run = drive({ leaves: 8, minWorkers: 3 });
  for (const worker of ['a', 'b', 'c']) run.join(worker);
  run.finish('a');
  assert.notEqual(run.leaseOf('a'), '-');
  const leaving = run.send({ kind: 'worker-draining', worker: 'a', reason: 'SIGTERM' });
  assert.deepEqual(all(leaving, 'release'), []);
  assert.equal(run.leaseOf('a'), '-');
  assert.equal(run.state.finished.length, 1, 'what it finished counts');
  while (run.state.phase === 'computing')
    run.finish(['b', 'c'].find((worker) => run.leaseOf(worker) !== '-') ?? '');
  const sealed = run.send({ kind: 'reduced', step: 0 });
  assert.equal(one(sealed, 'release').worker, 'a');
  const committed = run.send({ kind: 'committed', step: 0 });
  assert.ok(all(committed, 'lease').every(({ worker }) => worker !== 'a'));
});

test('somebody may ask that a worker be drained; the worker is told, once it drains no more', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  run.finish('a');
  assert.equal(one(run.send({ kind: 'drain-requested', worker: 'a' }), 'drain').worker, 'a');
  assert.deepEqual(run.send({ kind: 'drain-requested', worker: 'nobody' }), []);
  run.send({ kind: 'worker-draining', worker: 'a', reason: 'asked' });
  assert.deepEqual(run.send({ kind: 'drain-requested', worker: 'a' }), []);
});

const held = (step: number, first: number, level: number) => ({
  node: { level, index: first >> level },
  leaves: Array.from({ length: 1 << level }, (_, i) => reportOf(step, first + i)),
});

test('nodes that a worker brings along are not computed again', () => {
  const run = drive({ leaves: 8, minWorkers: 2 }, 4);
  for (const [worker, offers] of [
    ['a', [held(4, 0, 1), held(4, 2, 0)]],
    ['b', [held(4, 4, 2)]],
  ] as const) {
    run.send(connectedEvent(worker));
    run.send({ kind: 'worker-ready', worker, stages, description: '', held: [...offers] });
  }
  assert.equal(run.state.phase, 'computing');
  assert.deepEqual(
    run.state.finished.map(({ worker, leaves }) => [worker, leaves.length]),
    [
      ['a', 2],
      ['a', 1],
      ['b', 4],
    ],
  );
  assert.equal(run.leaseOf('a'), '0/3', 'what is left');
  assert.equal(all(run.finish('a'), 'reduce').length, 1);
});

test('what is brought along too late, twice or in pieces that are no node is left out', () => {
  const run = drive({ leaves: 4, minWorkers: 1 }, 4);
  run.send(connectedEvent('a'));
  const broken = { node: { level: 1, index: 0 }, leaves: [reportOf(4, 0)] };
  const beyond = { node: { level: 0, index: 9 }, leaves: [reportOf(4, 9)] };
  const twice = held(4, 0, 1);
  run.send({
    kind: 'worker-ready',
    worker: 'a',
    stages,
    description: '',
    held: [held(4, 0, 2), broken, beyond, twice, twice],
  });
  assert.equal(run.state.finished.length, 1);
  run.finish('a');
  run.send(connectedEvent('b'));
  run.send({ kind: 'reduced', step: 4 });
  run.send({ kind: 'worker-ready', worker: 'b', stages, description: '', held: [held(4, 0, 1)] });
  run.send({ kind: 'committed', step: 4 });
  assert.deepEqual(run.state.finished, [], 'the step that was open is over');
});
