/** Who may take part: joining, refusals, the canary and the silence, as transcripts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../../../coordinator/core/state.ts';
import { openLeaves } from '../../../coordinator/core/leases.ts';
import { initialState } from '../../../coordinator/core/state.ts';
import {
  all,
  connectedEvent,
  drive,
  nodeReady,
  one,
  planOf,
  stages,
  told,
} from '../../support/core-drive.ts';

const kinds = (effects: Effect[]) => effects.map((effect) => effect.kind);

test('another protocol version is refused with both numbers; nothing is kept of the worker', () => {
  const run = drive();
  const answer = run.send(connectedEvent('old', 9));
  const refused = one(answer, 'refuse');
  assert.equal(refused.code, 'other-proto');
  assert.match(refused.message, /version 1,.*version 9/s);
  assert.ok(told(answer).some((body) => body.kind === 'worker-refused'));
  assert.deepEqual(run.state.workers, {});
});

test('a worker of another run is refused and told to start anew; nothing is kept of it', () => {
  const [ours, theirs] = ['a'.repeat(64), 'b'.repeat(64)];
  const run = drive();
  run.send({ kind: 'identity-known', identity: ours });
  const answer = run.send(connectedEvent('stray', 1, theirs));
  assert.deepEqual(kinds(answer), ['refuse', 'event']);
  const refused = one(answer, 'refuse');
  assert.equal(refused.code, 'other-identity');
  assert.match(refused.message, /identity bbbbbbbbbbbb….*start the worker anew/);
  assert.deepEqual(
    told(answer).map((body) => body.kind),
    ['worker-refused'],
  );
  assert.deepEqual(run.state.workers, {});
});

test('a worker that was here before, or nowhere, is welcome', () => {
  const ours = 'a'.repeat(64);
  const run = drive();
  run.send({ kind: 'identity-known', identity: ours });
  for (const [worker, identity] of [
    ['back', ours],
    ['new', ''],
  ] as const)
    assert.equal(one(run.send(connectedEvent(worker, 1, identity)), 'welcome').worker, worker);
});

test('a coordinator that starts again knows the identity of its run, a new run has none', () => {
  const [ours, theirs] = ['a'.repeat(64), 'b'.repeat(64)];
  const codes = (identity: string | null) =>
    [ours, theirs].map((worker) => {
      const run = drive();
      run.state = initialState(planOf(), 5, null, identity, false);
      const answer = run.send(connectedEvent('w', 1, worker));
      return all(answer, 'refuse')[0]?.code ?? 'welcome';
    });
  assert.deepEqual(codes(ours), ['welcome', 'other-identity']);
  assert.deepEqual(codes(null), ['other-identity', 'other-identity']);
});

test('a worker that comes back from another run loses its place here', () => {
  const run = drive({ leaves: 4 });
  run.join('a');
  run.send({ kind: 'identity-known', identity: 'a'.repeat(64) });
  const answer = run.send(connectedEvent('a', 1, 'b'.repeat(64)));
  assert.equal(one(answer, 'refuse').code, 'other-identity');
  assert.deepEqual(run.state.workers, {});
  assert.deepEqual(openLeaves(run.state), [true, true, true, true]);
});

test('another device class is refused and the stage that differs is named', () => {
  const run = drive();
  run.join('a');
  const answer = run.join('b', [
    { name: 'decode', sha256: 'a' },
    { name: 'step', sha256: 'other' },
  ]);
  const refused = one(answer, 'refuse');
  assert.equal(refused.code, 'other-device-class');
  assert.match(refused.message, /stage "step" differs/);
  assert.match(refused.message, /device of a.*device of b/s);
  assert.equal(run.state.workers['b'], undefined);
});

test('a canary with a stage too few or too many is another class', () => {
  for (const proof of [stages.slice(0, 1), [...stages, { name: 'more', sha256: 'c' }]]) {
    const run = drive();
    run.join('a');
    assert.equal(one(run.join('b', proof), 'refuse').code, 'other-device-class');
  }
});

test('with mixed devices another class is admitted and the run is marked', () => {
  const run = drive({ mixedDevices: true });
  run.join('a');
  const answer = run.join('b', [{ name: 'decode', sha256: 'z' }]);
  assert.equal(all(answer, 'refuse').length, 0);
  assert.ok(kinds(answer).indexOf('mark-mixed') < kinds(answer).indexOf('admit'));
  assert.equal(run.state.workers['b']?.phase, 'live');
});

test('the class is adopted by the first worker only, before its first lease', () => {
  const run = drive({ leaves: 2 });
  const first = run.join('a');
  assert.ok(kinds(first).indexOf('adopt-class') < kinds(first).indexOf('lease'));
  assert.equal(all(run.join('b'), 'adopt-class').length, 0);
});

test('a worker has no lease before its canary is accepted', () => {
  const run = drive();
  run.send(connectedEvent('a'));
  assert.equal(run.state.phase, 'gathering');
  run.send(nodeReady(run.state, 'a', { level: 2, index: 0 }));
  assert.equal(run.state.finished.length, 0);
});

test('a worker that is not heard is lost at the tick after its silence, not before', () => {
  const run = drive({ silenceMs: 1000 });
  run.join('a');
  run.join('b');
  run.now = 900;
  run.send({ kind: 'heartbeat', worker: 'b', attempt: 0, done: 0 });
  run.now = 1000;
  assert.deepEqual(all(run.send({ kind: 'tick' }), 'disconnect'), []);
  run.now = 1001;
  const lost = run.send({ kind: 'tick' });
  assert.deepEqual(
    all(lost, 'disconnect').map(({ worker }) => worker),
    ['a'],
  );
  assert.deepEqual(Object.keys(run.state.workers), ['b']);
});

test('a worker that joins again loses what it held, and its new connection stays', () => {
  const run = drive({ leaves: 4 });
  run.join('a');
  assert.equal(run.leaseOf('a'), '1/0');
  const again = run.send(connectedEvent('a'));
  assert.deepEqual(all(again, 'disconnect'), [], 'that would end the connection it came back on');
  assert.equal(one(again, 'welcome').worker, 'a');
  assert.equal(run.state.workers['a']?.phase, 'joining');
  assert.deepEqual(openLeaves(run.state), [true, true, true, true]);
});
