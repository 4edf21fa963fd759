/** A step (or a survey) ends although a worker hangs, finds NaNs, or its gradients never arrive. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  all,
  connectedEvent,
  type Drive,
  drive,
  groupOf,
  nodeReady,
  one,
  reportOf,
  stages,
} from '../../support/core-drive.ts';

/** Time goes on; every worker is heard, `hung` too: its heart beats beside its compute. */
function pass(run: Drive, ms: number): void {
  for (const until = run.now + ms; run.now < until; ) {
    run.now += 1000;
    for (const worker of Object.keys(run.state.workers))
      run.send({ kind: 'heartbeat', worker, attempt: 0, done: 0 });
    run.send({ kind: 'tick' });
  }
}

test('a worker that hangs and whose heart beats does not keep a handed-back leaf from the other', () => {
  const run = groupOf(4, 2);
  const [hung, other] = ['w0', 'w1'];
  assert.equal(run.leaseOf(hung), '1/0');
  run.send({
    ...{ kind: 'lease-failed', worker: other, generation: 3, step: 0, sample: null },
    ...{ code: 'compute-failed', message: 'once' },
  });
  // Two leases at most are late at it: the ones of its own and of the other's half.
  for (let i = 0; i < 8 && run.state.phase === 'computing'; i += 1) {
    if (run.leaseOf(other) === '-') pass(run, 700_000);
    assert.notEqual(run.leaseOf(other), '-', 'nobody computes what is open');
    run.finish(other);
  }
  assert.ok(run.now < 1_500_000);
  assert.equal(run.state.phase, 'reducing');
});

test('not finite twice at one worker is no divergence while another may be asked', () => {
  const run = groupOf(4, 2);
  const nan = (worker: string) =>
    run.send({
      ...nodeReady(run.state, worker, { level: 0, index: 0 }),
      leaves: [reportOf(0, 0, { nonFinite: true })],
    });
  const first = nan('w0');
  assert.deepEqual(all(first, 'fail'), []);
  assert.deepEqual(all(nan('w0'), 'fail'), []);
  run.send({ kind: 'worker-lost', worker: 'w1', reason: 'test' });
  for (let i = 0; i < 9 && run.leaseOf('w0') !== '0/0'; i += 1) run.finish('w0');
  const alone = run.finish('w0', { nonFinite: true });
  assert.equal(one(alone, 'fail').code, 'diverged', 'nobody else is there');
});

test('a check that is not finite is an opinion: the step does not ask for it for ever', () => {
  const run = groupOf(2, 3, { audit: 1 });
  run.finish('w0');
  run.finish('w1');
  run.send({ kind: 'reduced', step: 0 });
  const effects = [];
  for (let i = 0; i < 20 && run.state.phase === 'auditing'; i += 1)
    for (const worker of Object.keys(run.state.workers))
      if (run.leaseOf(worker) !== '-')
        effects.push(
          ...run.finish(worker, worker === 'w2' ? { nonFinite: true, leafHash: 'NaN' } : {}),
        );
  assert.equal(one(effects, 'review').convict.worker, 'w2');
  assert.equal(all(effects, 'fail').length, 0);
});

test('a worker whose gradients never arrive leaves the step to others, and alone it goes on trying', () => {
  const comeBack = (worker: string) => {
    run.send(connectedEvent(worker));
    const held = [
      { step: 0, weightsHash: '', node: { level: 0, index: 0 }, leaves: [reportOf(0, 0)] },
    ];
    return run.send({ kind: 'worker-ready', worker, stages, description: '', held });
  };
  const run = groupOf(2, 2);
  run.finish('w0');
  run.finish('w1');
  for (let i = 0; i < 2; i += 1) {
    assert.equal(run.state.phase, 'reducing');
    const reason = 'no bucket of its gradient came';
    run.send({ kind: 'reduce-broken', step: 0, worker: 'w0', reason, hostile: false });
    comeBack('w0');
  }
  assert.equal(run.leaseOf('w0'), '-', 'what it computes is of no use');
  assert.equal(run.leaseOf('w1'), '0/0');
  assert.equal(all(run.finish('w1'), 'reduce').length, 1);
});

test('what an earlier try of a reduction says of a worker does not cost its new connection', () => {
  const run = groupOf(2, 2);
  run.finish('w0');
  run.finish('w1');
  run.join('w0');
  const reason = 'its gradient stream ended';
  const late = run.send({ kind: 'reduce-broken', step: 0, worker: 'w0', reason, hostile: false });
  assert.deepEqual(late, []);
  assert.ok(run.state.workers['w0']);
});

test('a chunk of a survey that hangs is given to another', () => {
  const run = drive({ leaves: 1, minWorkers: 2, knn: true, samples: 100 }, 0, true);
  run.join('w0');
  run.join('w1');
  assert.equal(run.state.phase, 'surveying');
  const answer = (worker: string) => {
    const chunk = run.state.workers[worker]?.survey?.chunk ?? -1;
    const where = { generation: 3, step: 0, work: 'features' as const };
    return run.send({ kind: 'features-ready', worker, chunk, ...where });
  };
  answer('w1');
  pass(run, 700_000);
  assert.equal(run.state.workers['w1']?.survey?.chunk, run.state.workers['w0']?.survey?.chunk);
  assert.equal(all(answer('w1'), 'use-survey').length, 1);
});

test('a check that nobody waits for any more does not keep a worker from the last survey', () => {
  const run = groupOf(2, 3, { audit: 1, knn: true, totalSteps: 1 });
  run.finish('w0');
  run.finish('w1');
  run.send({ kind: 'reduced', step: 0 });
  for (const index of [0, 1])
    for (const worker of ['w0', 'w1']) run.send(nodeReady(run.state, worker, { level: 0, index }));
  assert.equal(run.state.phase, 'committing');
  run.send({ kind: 'committed', step: 0 });
  assert.ok(Object.values(run.state.workers).every(({ lease }) => lease === null));
});
