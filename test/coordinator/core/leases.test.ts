/** How much each worker gets: aligned nodes, by its share of the measured speed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNode, leavesOf } from '../../../shared/core/tree.ts';
import { all, type Drive, drive } from '../../support/core-drive.ts';

/** Leaves under a worker's lease. */
function sizeOf(run: Drive, worker: string): number {
  const lease = run.state.workers[worker]?.lease;
  return lease ? lease.end - lease.first : 0;
}

/** Ends the open step: every worker finishes what it holds, `ms` a leaf, until all is in. */
function finishStep(run: Drive, ms: Record<string, number>): void {
  while (run.state.phase === 'computing') {
    const ends = Object.values(run.state.workers).flatMap((worker) =>
      worker.lease === null
        ? []
        : [
            {
              id: worker.id,
              at: worker.lease.progressAt + (ms[worker.id] ?? 1) * sizeOf(run, worker.id),
            },
          ],
    );
    ends.sort((a, b) => a.at - b.at);
    const next = ends[0];
    assert.ok(next, 'somebody computes');
    run.now = Math.max(run.now, next.at);
    run.finish(next.id);
  }
  const { step } = run.state;
  run.send({ kind: 'reduced', step });
  run.send({ kind: 'committed', step });
}

test('two workers of one speed get halves', () => {
  const run = drive({ leaves: 8, minWorkers: 2 });
  run.join('a');
  run.join('b');
  finishStep(run, { a: 10, b: 10 });
  assert.equal(sizeOf(run, 'a'), 4);
  assert.equal(sizeOf(run, 'b'), 4);
});

test('sizes follow the measured speed', () => {
  const run = drive({ leaves: 16, minWorkers: 2 });
  run.join('slow');
  run.join('fast');
  for (let step = 0; step < 3; step += 1) finishStep(run, { slow: 70, fast: 10 });
  assert.equal(sizeOf(run, 'slow'), 2, 'an eighth of the speed, an eighth of the step');
  assert.equal(sizeOf(run, 'fast'), 8, 'the largest aligned node within its share');
  const { slow, fast } = run.state.workers;
  assert.ok((slow?.leafMs ?? 0) > 5 * (fast?.leafMs ?? 0));
});

test('a worker too slow to help gets nothing, but in every sixteenth step', () => {
  const run = drive({ leaves: 4, minWorkers: 2, totalSteps: 40 });
  run.join('slow');
  run.join('fast');
  for (let step = 1; step <= 16; step += 1) {
    finishStep(run, { slow: 1000, fast: 1 });
    assert.equal(sizeOf(run, 'slow'), step === 16 ? 1 : 0, `step ${step}`);
  }
});

test('a clock that stands still does not stop the leases', () => {
  const run = drive({ leaves: 4 });
  run.join('a');
  for (let step = 0; step < 3; step += 1) {
    run.finish('a');
    assert.equal(sizeOf(run, 'a'), 2);
    run.finish('a');
    run.send({ kind: 'reduced', step });
    run.send({ kind: 'committed', step });
    assert.equal(sizeOf(run, 'a'), 2);
  }
});

test('the first lease of a step is a share of the whole step, the next a share of what is open', () => {
  const run = drive({ leaves: 16, minWorkers: 3 });
  const names = ['a', 'b', 'c'];
  for (const name of names) run.join(name);
  assert.deepEqual(
    names.map((name) => sizeOf(run, name)),
    [4, 4, 4],
    'whoever is asked last gets as much',
  );
  run.finish('a');
  assert.equal(sizeOf(run, 'a'), 1, 'a third of the four that are open');
  for (const name of ['b', 'c']) run.finish(name);
  while (run.state.phase === 'computing')
    run.finish(names.find((name) => sizeOf(run, name) > 0) ?? '');
  run.send({ kind: 'reduced', step: 0 });
  run.send({ kind: 'committed', step: 0 });
  assert.deepEqual(
    names.map((name) => sizeOf(run, name)),
    [4, 4, 4],
    'and again in the next step',
  );
});

test('the root is never leased, its two children are; a single leaf is its own root', () => {
  for (const [leaves, expected] of [
    [1, ['0/0']],
    [2, ['0/0', '0/1']],
    [4, ['1/0', '1/1']],
    [6, ['2/0', '1/2']],
    [8, ['2/0', '2/1']],
    [16, ['3/0', '3/1']],
  ] as const) {
    const run = drive({ leaves });
    run.join('a');
    const taken: string[] = [];
    while (run.leaseOf('a') !== '-') {
      taken.push(run.leaseOf('a'));
      run.finish('a');
    }
    assert.deepEqual(taken, expected, `${leaves} leaves`);
    assert.equal(run.state.phase, 'reducing');
  }
});

test('leases are nodes of the tree under their own name and never overlap', () => {
  for (let leaves = 1; leaves <= 13; leaves += 1) {
    for (let workers = 1; workers <= 6; workers += 1) {
      const run = drive({ leaves, minWorkers: workers });
      const names = Array.from({ length: workers }, (_, i) => `w${i}`);
      const given = names.flatMap((name) => all(run.join(name), 'lease'));
      const held = new Set<number>();
      while (run.state.phase === 'computing') {
        const worker = names.find((name) => run.leaseOf(name) !== '-') ?? '';
        given.push(...all(run.finish(worker), 'lease'));
      }
      for (const { node } of given) {
        assert.ok(isNode(node, leaves), `${node.level}/${node.index} of ${leaves}`);
        const [first, end] = leavesOf(node, leaves);
        assert.ok(leaves === 1 || end - first < leaves, `the root of ${leaves} is not leased`);
        for (let leaf = first; leaf < end; leaf += 1) {
          assert.ok(!held.has(leaf), `leaf ${leaf} of ${leaves} is leased once`);
          held.add(leaf);
        }
      }
      assert.equal(held.size, leaves);
    }
  }
});

test('a worker that joins in mid-step gets what is still open', () => {
  const run = drive({ leaves: 5, minWorkers: 2 });
  run.join('a');
  run.join('b');
  const joined = run.join('c');
  assert.equal(all(joined, 'lease').length, 1);
  const leased = Object.values(run.state.workers).reduce((sum, w) => sum + sizeOf(run, w.id), 0);
  assert.equal(leased, 5);
});
