/** Transcripts of the coordinator's state machine: what is said to it, what it does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance } from '../../../coordinator/core/advance.ts';
import type { CoreEvent, Effect } from '../../../coordinator/core/state.ts';
import { handBacksMax } from '../../../coordinator/core/state.ts';
import { key } from '../../../shared/core/tree.ts';
import { all, drive, nodeReady, one, reportOf, stages, told } from '../../support/core-drive.ts';

const kinds = (effects: Effect[]) => effects.map((effect) => effect.kind);

test('a step is leased, finished, reduced and committed, and the next one opens', () => {
  const run = drive({ leaves: 2 });
  const joined = run.join('a');
  assert.deepEqual(kinds(joined), ['welcome', 'adopt-class', 'admit', 'event', 'lease']);
  assert.equal(run.leaseOf('a'), '0/0');

  assert.deepEqual(kinds(run.finish('a')), ['lease']);
  assert.equal(run.leaseOf('a'), '0/1');
  const finished = run.finish('a');
  assert.deepEqual(kinds(finished), ['reduce']);
  assert.deepEqual(
    one(finished, 'reduce').nodes.map(({ node, worker }) => `${worker} ${key(node)}`),
    ['a 0/0', 'a 0/1'],
  );

  const sealed = run.send({ kind: 'reduced', step: 0 });
  const commit = one(sealed, 'commit');
  assert.equal(commit.step, 0);
  assert.deepEqual(commit.leaves, [reportOf(0, 0), reportOf(0, 1)]);

  const next = run.send({ kind: 'committed', step: 0 });
  assert.equal(one(next, 'lease').step, 1);
  assert.equal(run.state.step, 1);
  assert.equal(run.state.phase, 'computing');
});

test('the last step is followed by its checkpoint, then the end', () => {
  const run = drive({ leaves: 1, totalSteps: 1 });
  run.join('a');
  run.finish('a');
  run.send({ kind: 'reduced', step: 0 });
  assert.deepEqual(kinds(run.send({ kind: 'committed', step: 0 })), ['final-checkpoint']);
  const end = run.send({ kind: 'final-checkpoint-saved' });
  assert.deepEqual(kinds(end), ['finish']);
  assert.equal(one(end, 'finish').stopped, false);
  assert.equal(run.state.phase, 'done');
});

test('advance leaves the state that it was given as it was', () => {
  const run = drive();
  run.join('a');
  run.join('b');
  const before = JSON.stringify(run.state);
  const lost = { kind: 'worker-lost', worker: 'a', reason: 'test', now: 5 } satisfies CoreEvent;
  const turn = advance(run.state, lost);
  assert.equal(JSON.stringify(run.state), before);
  assert.notEqual(JSON.stringify(turn.state), before);
});

test('a worker lost in mid-step: its lease and its finished nodes open again, and that is told', () => {
  const run = drive({ leaves: 4 });
  run.join('a');
  run.send({ kind: 'worker-lost', worker: 'a', reason: 'test' });
  run.join('a');
  run.join('b');
  assert.equal(run.leaseOf('a'), '1/0');
  assert.equal(run.leaseOf('b'), '1/1');
  run.send({ kind: 'worker-lost', worker: 'a', reason: 'killed' });
  run.finish('b');
  assert.equal(run.leaseOf('b'), '1/0', 'the lone live worker takes all');

  const thirds = drive({ leaves: 8, minWorkers: 3 });
  for (const worker of ['a', 'b', 'c']) thirds.join(worker);
  assert.equal(thirds.leaseOf('a'), '1/0');
  thirds.finish('a');
  assert.equal(thirds.leaseOf('a'), '0/6');
  assert.equal(thirds.state.finished.length, 1);
  const lost = thirds.send({ kind: 'worker-lost', worker: 'a', reason: 'killed' });
  assert.deepEqual(
    told(lost).map((body) => body.kind),
    ['worker-left', 'lease-moved', 'lease-moved'],
  );
  const moved = told(lost).flatMap((body) =>
    body.kind === 'lease-moved' ? [[body.first, body.count, body.from]] : [],
  );
  assert.deepEqual(moved.sort(), [
    [0, 2, 'a'],
    [6, 1, 'a'],
  ]);
  assert.equal(thirds.state.finished.length, 0);
});

test('a worker lost while its gradients are pulled: the reduction waits, is computed and done again', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  run.finish('a');
  assert.deepEqual(kinds(run.finish('b')), ['reduce']);

  const lost = run.send({ kind: 'worker-lost', worker: 'a', reason: 'killed' });
  assert.equal(all(lost, 'pause-reduce').length, 1);
  assert.equal(run.state.phase, 'computing');
  assert.equal(key(one(lost, 'lease').node), '0/0', 'only what it took with it');

  const again = run.finish('b');
  assert.deepEqual(
    one(again, 'reduce').nodes.map(({ node, worker }) => `${worker} ${key(node)}`),
    ['b 0/0', 'b 0/1'],
  );
  run.send({ kind: 'reduced', step: 0 });
  assert.equal(run.state.phase, 'committing');
});

test('a reduction that breaks at a worker loses that worker; hostile bytes turn it away', () => {
  for (const hostile of [false, true]) {
    const run = drive({ leaves: 2, minWorkers: 2 });
    run.join('a');
    run.join('b');
    run.finish('a');
    run.finish('b');
    const broken = run.send({
      kind: 'reduce-broken',
      step: 0,
      worker: 'a',
      reason: 'short bucket',
      hostile,
    });
    assert.equal(all(broken, 'pause-reduce').length, 1);
    assert.deepEqual(
      all(broken, 'refuse').map(({ code }) => code),
      hostile ? ['bad-gradient'] : [],
    );
    assert.equal(run.state.workers['a'], undefined);
    assert.equal(run.leaseOf('b'), '0/0');
  }
});

test('what a worker claimed does not count once its bytes are hostile: an honest result stands alone', () => {
  const lied = (hostile: boolean) => {
    const run = drive({ leaves: 2, minWorkers: 2 });
    run.join('a');
    run.join('b');
    run.finish('a', { inputHash: 'a lie', leafHash: 'another' });
    run.finish('b');
    const reason = 'short bucket';
    const effects = run.send({ kind: 'reduce-broken', step: 0, worker: 'a', reason, hostile });
    assert.equal(all(effects, 'discard-reduce').length, hostile ? 1 : 0);
    assert.equal(run.leaseOf('b'), '0/0');
    return run;
  };
  const run = lied(true);
  assert.deepEqual(Object.keys(run.state.opinions), ['0', '1']);
  assert.equal(run.state.opinions[0]?.length, 0, 'the others keep their word');
  assert.deepEqual(kinds(run.finish('b')), ['reduce']);
  const { leaves } = one(run.send({ kind: 'reduced', step: 0 }), 'commit');
  assert.deepEqual(leaves, [reportOf(0, 0), reportOf(0, 1)]);

  const lost = one(lied(false).finish('b'), 'fail');
  assert.equal(lost.code, 'not-deterministic', 'a loss in the network takes nothing back');
});

test('a lone worker that is turned away leaves nothing behind that the next one must equal', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  run.finish('a', { leafHash: 'a lie' });
  const reason = 'other checksum';
  run.send({ kind: 'reduce-broken', step: 0, worker: 'a', reason, hostile: true });
  run.join('b');
  assert.deepEqual(kinds(run.finish('b')), ['reduce']);
});

test('a loss that two channels report counts once', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  run.finish('a');
  run.finish('b');
  run.send({ kind: 'worker-lost', worker: 'a', reason: 'killed' });
  const second = run.send({
    kind: 'reduce-broken',
    step: 0,
    worker: 'a',
    reason: 'its stream ended',
    hostile: false,
  });
  assert.deepEqual(second, []);
  assert.equal(run.leaseOf('b'), '0/0');
});

test('a late result of another step, or of another generation, changes nothing', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  const late = nodeReady(run.state, 'a', { level: 0, index: 0 });
  run.finish('a');
  run.send({ kind: 'reduced', step: 0 });
  run.send({ kind: 'committed', step: 0 });
  const before = JSON.stringify({ ...run.state, workers: null });
  assert.deepEqual(run.send(late), []);
  assert.deepEqual(run.send({ ...late, step: 1, generation: 2 }), []);
  assert.equal(JSON.stringify({ ...run.state, workers: null }), before);
  assert.match(run.because.join(), /ignored a result of a/);
  assert.equal(run.leaseOf('a'), '0/0', 'the lease of the open step stands');
});

test('a result delivered twice is counted once', () => {
  const run = drive({ leaves: 4, minWorkers: 2 });
  run.join('a');
  run.join('b');
  const result = nodeReady(run.state, 'a', { level: 1, index: 0 });
  run.send(result);
  const held = run.leaseOf('a');
  assert.deepEqual(run.send(result), []);
  assert.equal(run.state.finished.length, 1);
  assert.equal(run.leaseOf('a'), held, 'its next lease is not taken for the old one');
});

test('a second result with another gradient or another input fails the run', () => {
  for (const [field, word] of [
    ['leafHash', /differ in their gradient/],
    ['inputHash', /differ in their input/],
  ] as const) {
    const run = drive({ leaves: 2, minWorkers: 2 });
    run.join('a');
    run.join('b');
    run.finish('a');
    run.send({ kind: 'worker-lost', worker: 'a', reason: 'killed' });
    run.finish('b');
    assert.equal(run.leaseOf('b'), '0/0', 'what a had finished is computed again');
    const answer = run.finish('b', { [field]: 'other bits' });
    const failed = one(answer, 'fail');
    assert.equal(failed.code, 'not-deterministic');
    assert.match(failed.message, word);
    assert.match(failed.message, /micro-batch 0 of step 0/);
    assert.deepEqual(kinds(answer), ['event', 'fail'], 'the event is durable before the end');
    assert.equal(run.state.phase, 'failed');
    assert.deepEqual(run.send({ kind: 'tick' }), [], 'a failed run does nothing more');
  }
});

test('results of two device classes are not compared with each other', () => {
  const run = drive({ leaves: 2, minWorkers: 2, mixedDevices: true });
  run.join('a');
  run.join('b', [stages[0] as (typeof stages)[0], { name: 'step', sha256: 'other' }]);
  run.finish('a');
  run.send({ kind: 'worker-lost', worker: 'a', reason: 'killed' });
  run.finish('b', { leafHash: 'bits of b' });
  const answer = run.finish('b', { leafHash: 'bits of b' });
  assert.deepEqual(kinds(answer), ['reduce']);
});

test('two workers that find the same leaf not finite: the run diverged, with step and leaf named', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  const first = run.finish('a', { nonFinite: true });
  assert.deepEqual(
    told(first).map((body) => body.kind),
    ['warning'],
  );
  assert.equal(run.leaseOf('a'), '-', 'the one who found it does not try again');
  run.finish('b');
  assert.equal(run.leaseOf('b'), '0/0');
  const second = run.finish('b', { nonFinite: true });
  const failed = one(second, 'fail');
  assert.equal(failed.code, 'diverged');
  assert.match(failed.message, /micro-batch 0 in step 0.*two workers agree/s);
});

test('a lone worker has to find it twice, and the same message twice is one finding', () => {
  const run = drive({ leaves: 3 });
  run.join('a');
  assert.equal(run.leaseOf('a'), '1/0');
  const found = nodeReady(run.state, 'a', { level: 1, index: 0 });
  const bad = { ...found, leaves: found.leaves.map((r) => ({ ...r, nonFinite: r.leaf === 1 })) };
  run.send(bad);
  assert.deepEqual(all(run.send(bad), 'fail'), []);
  assert.equal(run.state.phase, 'computing');
  assert.equal(run.leaseOf('a'), '0/0', 'a leaf that is not finite is leased alone');
  run.finish('a');
  assert.equal(run.leaseOf('a'), '0/1');
  const failed = one(run.finish('a', { nonFinite: true }), 'fail');
  assert.equal(failed.code, 'diverged');
  assert.match(failed.message, /twice on the only worker/);
});

test('a leaf found not finite once and finite by another is used', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  run.finish('a', { nonFinite: true });
  run.finish('b');
  assert.deepEqual(kinds(run.finish('b')), ['reduce']);
});

const undecodable = (worker: string, step = 0, sample: number | null = 17) =>
  ({
    kind: 'lease-failed',
    worker,
    generation: 3,
    step,
    code: 'sample-undecodable',
    message: 'x.jpg: cut short',
    sample,
  }) as const;

test('a sample that two workers cannot decode is gray for all from then on', () => {
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  run.finish('b');
  const first = run.send(undecodable('a'));
  assert.deepEqual(run.state.gray, []);
  assert.equal(one(first, 'lease').worker, 'b', 'another tries before the first tries again');
  const second = run.send(undecodable('b'));
  assert.deepEqual(run.state.gray, [17]);
  assert.deepEqual(
    told(second).filter((body) => body.kind === 'sample-undecodable'),
    [{ kind: 'sample-undecodable', sample: 17, path: '' }],
    'the path is for the shell to fill',
  );
  const { because } = all(second, 'event').find(
    ({ body }) => body.kind === 'sample-undecodable',
  ) ?? { because: '' };
  assert.match(because, /x\.jpg: cut short/);
  assert.deepEqual(one(second, 'lease').gray, [17]);
});

test('a lone worker makes a sample gray by failing twice', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  run.send(undecodable('a'));
  assert.deepEqual(run.state.gray, []);
  assert.equal(run.leaseOf('a'), '0/0');
  run.send(undecodable('a'));
  assert.deepEqual(run.state.gray, [17]);
  assert.deepEqual(kinds(run.finish('a')), ['reduce']);
});

test('many undecodable samples in one micro-batch do not cost the worker its place', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  for (let sample = 0; sample < 2 * handBacksMax; sample += 1) {
    run.send(undecodable('a', 0, sample));
    run.send(undecodable('a', 0, sample));
  }
  assert.equal(run.state.gray.length, 2 * handBacksMax);
  assert.ok(run.state.workers['a']);
});

test('a worker that hands back lease after lease without a result is turned away', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  const failing = { ...undecodable('a'), code: 'compute-failed', message: 'no disk' } as const;
  for (let i = 1; i < handBacksMax; i += 1) {
    assert.deepEqual(all(run.send(failing), 'refuse'), []);
    assert.equal(run.leaseOf('a'), '0/0');
  }
  const refused = one(run.send(failing), 'refuse');
  assert.match(refused.message, /handed back 8 leases in a row.*no disk/);
  assert.equal(run.state.workers['a'], undefined);
});

test('an image that nobody can have stops the run, and no worker for it', () => {
  const missing = (worker: string) =>
    ({ ...undecodable(worker), code: 'sample-unavailable', message: 'x.jpg: gone' }) as const;
  const run = drive({ leaves: 2, minWorkers: 2 });
  run.join('a');
  run.join('b');
  const first = run.send(missing('a'));
  assert.deepEqual(all(first, 'fail'), [], 'one worker may be mistaken');
  run.finish('b');
  const failed = one(run.send(missing('b')), 'fail');
  assert.equal(failed.code, 'sample-unavailable');
  assert.match(failed.message, /x\.jpg: gone\. Put the file back/);
  assert.ok(run.state.workers['a'] && run.state.workers['b']);

  const alone = drive({ leaves: 1 });
  alone.join('a');
  assert.deepEqual(all(alone.send(missing('a')), 'fail'), []);
  assert.equal(one(alone.send(missing('a')), 'fail').code, 'sample-unavailable');
});

test('a micro-batch that one worker hands back goes to another', () => {
  const run = drive({ leaves: 1, minWorkers: 2 });
  run.join('a');
  run.join('b');
  const holder = run.leaseOf('a') === '-' ? 'b' : 'a';
  const back = run.send({ ...undecodable(holder), code: 'compute-failed', sample: null });
  assert.notEqual(one(back, 'lease').worker, holder);
});

test('the run begins when enough workers are live, and goes on with fewer', () => {
  const run = drive({ minWorkers: 2, leaves: 2 });
  assert.equal(all(run.join('a'), 'lease').length, 0);
  assert.equal(run.state.phase, 'gathering');
  assert.equal(all(run.join('b'), 'lease').length, 2);
  run.send({ kind: 'worker-lost', worker: 'a', reason: 'test' });
  run.finish('b');
  assert.equal(run.leaseOf('b'), '0/0');
});

test('a stop asked for in mid-step drops the step, saves and ends', () => {
  const run = drive({ leaves: 2 }, 4);
  run.join('a');
  const stop = run.send({ kind: 'stop-requested', reason: 'Ctrl-C' });
  assert.deepEqual(kinds(stop), ['final-checkpoint']);
  assert.deepEqual(all(run.send(nodeReady(run.state, 'a', { level: 1, index: 0 })), 'reduce'), []);
  const end = run.send({ kind: 'final-checkpoint-saved' });
  assert.deepEqual(kinds(end), ['finish'], 'and nothing after it');
  assert.deepEqual(one(end, 'finish'), { kind: 'finish', stopped: true, because: 'Ctrl-C' });
  assert.equal(run.state.phase, 'done');
  assert.equal(run.state.step, 4);
});

test('a stop asked for while gradients are pulled pauses that first', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  run.finish('a');
  const stop = run.send({ kind: 'stop-requested', reason: 'Ctrl-C' });
  assert.deepEqual(kinds(stop), ['discard-reduce', 'final-checkpoint']);
  assert.deepEqual(run.send({ kind: 'reduced', step: 0 }), [], 'a late seal commits nothing');
});

test('a stop asked for during a commit waits for it', () => {
  const run = drive({ leaves: 1 });
  run.join('a');
  run.finish('a');
  run.send({ kind: 'reduced', step: 0 });
  assert.deepEqual(run.send({ kind: 'stop-requested', reason: 'Ctrl-C' }), []);
  assert.deepEqual(kinds(run.send({ kind: 'committed', step: 0 })), ['final-checkpoint']);
  assert.equal(run.state.step, 1);
});

test('a stop before any worker came ends too', () => {
  const run = drive();
  assert.deepEqual(kinds(run.send({ kind: 'stop-requested', reason: 'Ctrl-C' })), [
    'final-checkpoint',
  ]);
  assert.deepEqual(kinds(run.send({ kind: 'final-checkpoint-saved' })), ['finish']);
});

test('a failure after a stop was asked for stays a failure', () => {
  const run = drive();
  run.join('a');
  run.send({ kind: 'stop-requested', reason: 'Ctrl-C' });
  const failed = run.send({ kind: 'failed', code: 'disk', message: 'no space' });
  assert.deepEqual(kinds(failed), ['event', 'fail']);
  assert.equal(run.state.phase, 'failed');
});

test('stopAt ends a life early and says so', () => {
  const run = drive({ leaves: 1, stopAt: 2, totalSteps: 5 }, 1);
  run.join('a');
  run.finish('a');
  run.send({ kind: 'reduced', step: 1 });
  assert.deepEqual(kinds(run.send({ kind: 'committed', step: 1 })), ['final-checkpoint']);
  const end = one(run.send({ kind: 'final-checkpoint-saved' }), 'finish');
  assert.equal(end.stopped, true);
  assert.match(end.because, /--stop-at 2/);
});

test('checkpoints come at their cadence, not besides the last one', () => {
  const run = drive({ leaves: 1, checkpointEvery: 2, totalSteps: 4 });
  run.join('a');
  const saved: string[] = [];
  for (let step = 0; step < 4; step += 1) {
    run.finish('a');
    run.send({ kind: 'reduced', step });
    const names = kinds(run.send({ kind: 'committed', step })).filter((k) => k !== 'lease');
    saved.push(names.join());
  }
  assert.deepEqual(saved, ['', 'checkpoint', '', 'final-checkpoint']);
});

test('a node that is none, or whose leaves do not fit, turns its worker away', () => {
  for (const [node, leaves] of [
    [{ level: 4_000_000_000, index: 0 }, [reportOf(0, 0)]],
    [{ level: 0, index: 9 }, [reportOf(0, 9)]],
    [{ level: 2, index: 0 }, [reportOf(0, 0)]],
    [{ level: 0, index: 1 }, [reportOf(0, 0)]],
    [{ level: 0, index: 0 }, []],
  ] as const) {
    const run = drive({ leaves: 4 });
    run.join('a');
    const whole = nodeReady(run.state, 'a', { level: 0, index: 0 });
    const answer = run.send({ ...whole, node, leaves: [...leaves] });
    assert.equal(one(answer, 'refuse').code, 'bad-message');
    assert.equal(run.state.workers['a'], undefined);
    assert.equal(run.state.finished.length, 0);
  }
});

test('a lease that comes in parts is over with the last of them', () => {
  const run = drive({ leaves: 8 });
  run.join('a');
  assert.equal(run.leaseOf('a'), '2/0');
  run.send(nodeReady(run.state, 'a', { level: 0, index: 0 }));
  assert.equal(run.leaseOf('a'), '0/1 1/1', 'the rest stays where it is');
  run.send(nodeReady(run.state, 'a', { level: 0, index: 1 }));
  run.send(nodeReady(run.state, 'a', { level: 1, index: 1 }));
  assert.equal(run.leaseOf('a'), '2/1');
  run.finish('a');
  assert.equal(run.state.phase, 'reducing');
});

test('features are measured before the first and after the last step', () => {
  const run = drive({ leaves: 1, totalSteps: 1, knn: true, samples: 100 }, 0, true);
  const begun = run.join('a');
  assert.equal(one(begun, 'survey-lease').chunk, 0);
  const of = { worker: 'a', generation: 3, step: 0 };
  const ready = { kind: 'features-ready', work: 'features', ...of } as const;
  assert.equal(one(run.send({ ...ready, chunk: 0 }), 'survey-lease').chunk, 1);
  assert.deepEqual(kinds(run.send({ ...ready, chunk: 1 })), ['use-survey']);
  assert.deepEqual(run.send({ ...ready, chunk: 1 }), [], 'the same features twice count once');
  assert.equal(all(run.send({ kind: 'survey-used' }), 'lease').length, 1);
  run.finish('a');
  run.send({ kind: 'reduced', step: 0 });
  run.send({ kind: 'committed', step: 0 });
  assert.equal(all(run.send({ kind: 'final-checkpoint-saved' }), 'survey-lease').length, 1);
  run.send({ ...ready, chunk: 0 });
  assert.deepEqual(run.state.survey?.chunks, ['a', null], 'features of step 0 are none of step 1');
  run.send({ ...ready, step: 1, chunk: 0 });
  run.send({ ...ready, step: 1, chunk: 1 });
  assert.equal(one(run.send({ kind: 'survey-used' }), 'finish').stopped, false);
});

test('features of another generation, or of no chunk, change nothing', () => {
  const run = drive({ leaves: 1, knn: true, samples: 64 }, 0, true);
  run.join('a');
  const ready = { kind: 'features-ready', worker: 'a', step: 0, work: 'features' } as const;
  assert.deepEqual(run.send({ ...ready, generation: 2, chunk: 0 }), []);
  assert.deepEqual(run.send({ ...ready, generation: 3, chunk: 0, work: 'moments' }), []);
  assert.deepEqual(run.send({ ...ready, generation: 3, chunk: 9 }), []);
  assert.deepEqual(kinds(run.send({ ...ready, generation: 3, chunk: 0 })), ['use-survey']);
});

test('an evaluation extracts what its plan says, one after the other, and trains nothing', () => {
  const surveys = [
    { work: 'moments', images: 150 },
    { work: 'features', images: 160 },
  ] as const;
  const run = drive({ samples: 160, surveys }, 7);
  const begun = one(run.join('a'), 'survey-lease');
  assert.deepEqual([begun.work, begun.chunk], ['moments', 0]);
  const ready = (work: 'moments' | 'features', chunk: number) =>
    run.send({ kind: 'features-ready', worker: 'a', generation: 3, step: 7, work, chunk });
  ready('moments', 0);
  assert.deepEqual(kinds(ready('moments', 1)), ['use-survey'], 'whole chunks alone have moments');
  assert.equal(one(run.send({ kind: 'survey-used' }), 'survey-lease').work, 'features');
  ready('features', 0);
  ready('features', 1);
  assert.deepEqual(kinds(ready('features', 2)), ['use-survey']);
  assert.deepEqual(kinds(run.send({ kind: 'survey-used' })), ['finish']);
  assert.equal(run.state.phase, 'done');
});

test('an evaluation that is to stop fails as interrupted', () => {
  const run = drive({ samples: 64, surveys: [{ work: 'features', images: 64 }] });
  run.join('a');
  const stopped = run.send({ kind: 'stop-requested', reason: 'SIGINT received' });
  assert.equal(one(stopped, 'fail').code, 'interrupted');
});

test('a chunk of features that one worker hands back goes to another, then turns gray', () => {
  const run = drive({ knn: true, samples: 64, minWorkers: 2 }, 0, true);
  run.join('a');
  const [lease] = all(run.join('b'), 'survey-lease');
  const holder = lease?.worker ?? '';
  const next = one(run.send(undecodable(holder)), 'survey-lease');
  assert.notEqual(next.worker, holder);
  assert.deepEqual(one(run.send(undecodable(next.worker)), 'survey-lease').gray, [17]);
});

test('a worker lost during the survey gives its chunk to another', () => {
  const run = drive({ knn: true, samples: 64, minWorkers: 2 }, 0, true);
  run.join('a');
  run.join('b');
  const lost = run.send({ kind: 'worker-lost', worker: 'a', reason: 'test' });
  assert.equal(one(lost, 'survey-lease').worker, 'b');
});
