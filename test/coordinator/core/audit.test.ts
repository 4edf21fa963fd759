/** Audits and disputes: two must agree, a third decides, the one that stands alone is convicted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditedLeaves } from '../../../shared/core/audit.ts';
import type { LeafReport } from '../../../coordinator/core/state.ts';
import {
  all,
  connectedEvent,
  type Drive,
  drive,
  groupOf,
  nodeReady,
  one,
  told,
} from '../../support/core-drive.ts';

const group = (leaves: number, workers: number, audit: number): Drive =>
  groupOf(leaves, workers, { audit });

/** Everyone finishes what it has until nobody has anything; `liar` computes leaf `at` wrongly. */
function work(run: Drive, liar = '', at = -1) {
  const effects = [];
  for (let i = 0; i < 1000; i += 1) {
    const busy = Object.values(run.state.workers).find(({ lease }) => lease !== null);
    if (busy?.lease == null) return effects;
    const { first, end } = busy.lease;
    const lies = busy.id === liar && first <= at && at < end;
    const wrong: Partial<LeafReport> = lies ? { leafHash: `wrong bits of ${busy.id}` } : {};
    effects.push(...run.finish(busy.id, wrong));
  }
  throw new Error('it never ends');
}

test('which leaves are audited is drawn by address, in the share that was asked for', () => {
  assert.deepEqual(auditedLeaves(1, 0, 8, 0), []);
  assert.deepEqual(auditedLeaves(1, 0, 8, 1), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(auditedLeaves(1, 7, 64, 0.1), auditedLeaves(1, 7, 64, 0.1));
  let drawn = 0;
  for (let step = 0; step < 500; step += 1) drawn += auditedLeaves(3, step, 40, 0.05).length;
  assert.ok(Math.abs(drawn / 20_000 - 0.05) < 0.006, `${drawn} of 20,000`);
});

test('with audit 1 a step is sealed once two workers agree on every leaf', () => {
  const run = group(4, 2, 1);
  run.finish('w0');
  const reduce = run.finish('w1');
  assert.equal(all(reduce, 'reduce').length, 1, 'pulling does not wait');
  assert.deepEqual(all(run.send({ kind: 'reduced', step: 0 }), 'commit'), []);
  assert.equal(run.state.phase, 'auditing');
  const effects = work(run);
  const commit = one(effects, 'commit');
  assert.deepEqual(
    commit.leaves.map(({ leaf }) => leaf),
    [0, 1, 2, 3],
  );
  assert.deepEqual(commit.shares, [
    { worker: 'w0', first: 0, count: 2 },
    { worker: 'w1', first: 2, count: 2 },
  ]);
});

test('without an audit nothing is computed twice', () => {
  const run = group(8, 2, 0);
  work(run);
  assert.equal(run.state.phase, 'reducing');
  assert.equal(run.state.attempts, 2);
});

test('a wrong leaf is found before the commit, whoever computed it first, and its maker convicted', () => {
  for (const liar of ['w0', 'w1', 'w2'])
    for (let leaf = 0; leaf < 4; leaf += 1) {
      const run = group(4, 3, 1);
      const effects = work(run, liar, leaf);
      while (run.state.phase === 'reducing')
        effects.push(...run.send({ kind: 'reduced', step: 0 }), ...work(run, liar, leaf));
      const where = `${liar} lies about ${leaf}`;
      const commit = all(effects, 'commit');
      for (const { leaves } of commit)
        for (const report of leaves) assert.equal(report.leafHash, `leaf 0/${report.leaf}`, where);
      const guilty = told(effects).filter(({ kind }) => kind === 'worker-convicted');
      assert.equal(commit.length, 1, where);
      for (const body of guilty)
        assert.deepEqual(body, { kind: 'worker-convicted', worker: liar, host: 'here', leaf });
      if (guilty.length === 0) continue;
      assert.deepEqual(
        all(effects, 'refuse').map(({ code }) => code),
        ['quarantined'],
        where,
      );
      assert.deepEqual(
        all(effects, 'review').map(({ convict }) => convict.worker),
        [liar],
        where,
      );
      assert.equal(run.state.workers[liar], undefined);
    }
});

test('what was summed from a convict is thrown away and summed again', () => {
  const run = group(2, 3, 1);
  run.finish('w0', { leafHash: 'wrong' });
  run.finish('w1');
  run.send({ kind: 'reduced', step: 0 });
  assert.equal(run.state.phase, 'auditing');
  const effects = work(run);
  assert.equal(all(effects, 'discard-reduce').length, 1);
  assert.equal(all(effects, 'reduce').length, 1, 'again, without the convict');
  const commit = one(run.send({ kind: 'reduced', step: 0 }), 'commit');
  assert.ok(commit.shares.every(({ worker }) => worker !== 'w0'));
});

test('a convict is not let in again, in this life or the next', () => {
  const run = group(2, 3, 1);
  run.finish('w0', { leafHash: 'wrong' });
  work(run);
  assert.equal(one(run.join('w0'), 'refuse').code, 'quarantined');
});

test('a convict that was called after its host and process is not let in as another process', () => {
  const run = drive({ leaves: 2, minWorkers: 3, audit: 1 });
  for (const worker of ['here-7', 'w1', 'w2']) run.join(worker);
  run.finish('here-7', { leafHash: 'wrong' });
  work(run);
  for (const worker of ['here-7', 'here-8'])
    assert.equal(one(run.send(connectedEvent(worker)), 'refuse').code, 'quarantined');
  for (const worker of ['here-b', 'there-7'])
    assert.equal(one(run.send(connectedEvent(worker)), 'welcome').worker, worker);
});

test('an audited leaf that a worker hands back is asked of another one first', () => {
  const run = drive({ leaves: 1, minWorkers: 3, audit: 1 });
  for (const worker of ['w0', 'w1', 'w2']) run.join(worker);
  const first = Object.keys(run.state.workers).find((id) => run.leaseOf(id) !== '-') ?? '';
  run.finish(first);
  const checker = () => Object.keys(run.state.workers).find((id) => run.leaseOf(id) !== '-') ?? '';
  const handBack = (worker: string) =>
    run.send({
      ...{ kind: 'lease-failed', worker, generation: 3, step: 0, sample: 7 },
      ...{ code: 'sample-undecodable', message: 'no image' },
    });
  const second = checker();
  handBack(second);
  const third = checker();
  assert.equal(new Set([first, second, third]).size, 3);
  const effects = handBack(third);
  assert.deepEqual(run.state.gray, [7], 'two could not decode it, and the first has its result');
  assert.deepEqual(all(effects, 'lease')[0]?.gray, [7]);
});

test('with two workers a dispute stops the run and says that a third is needed', () => {
  const run = group(2, 2, 1);
  run.finish('w0', { leafHash: 'wrong' });
  const effects = [...run.finish('w1'), ...work(run)];
  const failed = one(effects, 'fail');
  assert.equal(failed.code, 'not-deterministic');
  assert.match(failed.message, /third worker/);
});

test('a worker that contradicts itself is convicted by its own words', () => {
  const run = group(2, 3, 0);
  run.finish('w0');
  const { state } = run;
  const again = { level: 0, index: 0 };
  const [first] = all(
    run.send({
      kind: 'node-ready',
      worker: 'w0',
      generation: 3,
      step: 0,
      node: again,
      attempt: 0,
      leaves: [
        { leaf: 0, inputHash: 'input 0/0', leafHash: 'else', loss: 0, std: 0, nonFinite: false },
      ],
    }),
    'refuse',
  );
  assert.equal(first?.code, 'quarantined');
  assert.ok(state.workers['w0']);
});

test('an audit that nobody can answer waits for a second worker and says so once', () => {
  const run = group(2, 1, 1);
  work(run);
  const waits = run.send({ kind: 'reduced', step: 0 });
  const warnings = told(waits).filter((body) => body.kind === 'warning');
  assert.equal(warnings.length, 1);
  assert.deepEqual(told(run.send({ kind: 'tick' })), []);
  run.join('w1');
  assert.equal(all(work(run), 'commit').length, 1);
});

test('10,000 audits of honest workers raise no alarm', () => {
  const run = group(20, 4, 1);
  for (let step = 0; step < 500; step += 1) {
    const effects = work(run);
    effects.push(...run.send({ kind: 'reduced', step }), ...work(run));
    assert.deepEqual(all(effects, 'fail'), []);
    assert.deepEqual(all(effects, 'review'), []);
    assert.equal(all(effects, 'commit').length, 1);
    run.send({ kind: 'committed', step });
    if (run.state.phase !== 'computing') break;
  }
});

/** Three workers, a leaf each; `w0` lies about leaf 0, and its gradient is being summed. */
function summedFromLiar(audit: number): Drive {
  const run = group(3, 3, audit);
  run.finish('w0', { leafHash: 'wrong' });
  run.finish('w1');
  assert.equal(all(run.finish('w2'), 'reduce').length, 1);
  return run;
}

/** Others compute leaf 0, until it is known who was wrong. */
function findTheLiar(run: Drive, ...others: string[]) {
  const effects = [];
  const answered = new Set<string>();
  for (let i = 0; i < 10 && answered.size < 2; i += 1)
    for (const worker of others) {
      if (run.leaseOf(worker) === '0/0') answered.add(worker);
      if (run.leaseOf(worker) !== '-') effects.push(...run.finish(worker));
    }
  return effects;
}

for (const [how, leave] of [
  ['joined again', (run: Drive) => run.send(connectedEvent('w0'))],
  ['was killed', (run: Drive) => run.send({ kind: 'worker-lost', worker: 'w0', reason: 'killed' })],
] as const)
  for (const audit of [0, 1])
    test(`nothing stays of what was summed from a convict that ${how} before (audit ${audit})`, () => {
      const run = summedFromLiar(audit);
      const left = leave(run);
      assert.equal(all(left, 'pause-reduce').length, 1, 'what is summed would stay');
      const effects = findTheLiar(run, 'w1', 'w2');
      assert.equal(one(effects, 'review').convict.worker, 'w0');
      assert.equal(one(effects, 'review').convict.host, 'here');
      assert.equal(all(effects, 'discard-reduce').length, 1);
      assert.equal(all(effects, 'fail').length, 0);
      const attempt = run.state.reduceAttempts;
      const late = run.send({ kind: 'reduced', step: 0, attempt: attempt - 1 });
      assert.deepEqual(all(late, 'commit'), [], 'the end of the sum that was thrown away');
      effects.push(...run.send({ kind: 'reduced', step: 0 }), ...work(run));
      for (const { shares, leaves } of [...all(effects, 'commit')]) {
        assert.ok(shares.every(({ worker }) => worker !== 'w0'));
        assert.equal(leaves[0]?.leafHash, 'leaf 0/0');
      }
      assert.equal(all(effects, 'commit').length, 1);
    });

test('bytes that are no gradient take with them what was summed from their sender', () => {
  const run = summedFromLiar(1);
  const broken = run.send({
    ...{ kind: 'reduce-broken', step: 0, worker: 'w0', reason: 'checksum', hostile: true },
  });
  assert.equal(all(broken, 'discard-reduce').length, 1);
  const effects = findTheLiar(run, 'w1', 'w2');
  assert.deepEqual(all(effects, 'review'), [], 'its word counts for nothing either');
  effects.push(...run.send({ kind: 'reduced', step: 0 }), ...work(run));
  assert.equal(all(effects, 'commit').length, 1);
});

test('one result that settles two leaves at once convicts one worker and stops nothing', () => {
  const run = group(4, 3, 0);
  const node = { level: 1, index: 0 };
  const answer = (worker: string, leafHash?: string) =>
    run.send(nodeReady(run.state, worker, node, leafHash === undefined ? {} : { leafHash }));
  answer('w0', 'wrong');
  answer('w1');
  const effects = answer('w2');
  assert.deepEqual(all(effects, 'fail'), []);
  assert.equal(one(effects, 'review').convict.worker, 'w0');
});
