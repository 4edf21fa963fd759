/** Who may take part: joining, refusals, the canary and the silence, as transcripts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../../../coordinator/core/state.ts';
import { openLeaves } from '../../../coordinator/core/leases.ts';
import { commonProto } from '../../../coordinator/core/membership.ts';
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

test('protocol versions: the newest that both know, one back in either direction, no further', () => {
  const between = (ours: [number, number], theirs: [number, number]) =>
    commonProto(
      { protoVersion: ours[0], protoOldest: ours[1] },
      { protoVersion: theirs[0], protoOldest: theirs[1] },
    );
  assert.equal(between([3, 2], [3, 2]), 3);
  assert.equal(between([3, 2], [2, 1]), 2, 'a worker not yet upgraded');
  assert.equal(between([2, 1], [3, 2]), 2, 'a coordinator not yet upgraded');
  assert.equal(between([3, 2], [1, 1]), null);
  assert.equal(between([2, 1], [4, 3]), null);
  assert.equal(between([3, 2], [2, 0]), 2, 'one that says no oldest knows no other');
});

test('a worker one version back is welcomed in its version', () => {
  const run = drive({ protoVersion: 3, protoOldest: 2 });
  assert.equal(one(run.send(connectedEvent('older', 2)), 'welcome').protoVersion, 2);
  assert.equal(one(run.send(connectedEvent('same', 3)), 'welcome').protoVersion, 3);
  assert.equal(one(run.send(connectedEvent('ancient', 1)), 'refuse').code, 'other-proto');
});

test('the first worker’s graph is the run’s: another is refused, whatever its canary says', () => {
  const ready = (worker: string, graph: string, proof = stages) => ({
    kind: 'worker-ready' as const,
    worker,
    stages: proof,
    description: '',
    held: [],
    graph,
  });
  const [mine, other] = ['a'.repeat(64), 'b'.repeat(64)];
  const run = drive();
  run.send(connectedEvent('first'));
  assert.equal(one(run.send(ready('first', mine)), 'adopt-class').deviceClass.graph, mine);
  run.send(connectedEvent('same'));
  assert.ok(kinds(run.send(ready('same', mine))).includes('admit'));
  for (const graph of [other, '']) {
    run.send(connectedEvent('stray'));
    const refused = one(run.send(ready('stray', graph)), 'refuse');
    assert.equal(refused.code, 'other-graph');
    assert.match(refused.message, /same release/);
    assert.equal(run.state.workers['stray'], undefined);
  }
});

test('a run that was begun before graphs were kept asks for none; mixed devices are marked', () => {
  const ready = (worker: string, graph: string) => ({
    kind: 'worker-ready' as const,
    worker,
    stages,
    description: '',
    held: [],
    graph,
  });
  const old = drive();
  old.state = initialState(planOf({}), 3, { stages, description: 'before' }, 'i', false);
  old.send(connectedEvent('w'));
  assert.ok(kinds(old.send(ready('w', 'a'.repeat(64)))).includes('admit'));
  const mixed = drive({ mixedDevices: true });
  mixed.send(connectedEvent('one'));
  mixed.send(ready('one', 'a'.repeat(64)));
  mixed.send(connectedEvent('two'));
  assert.ok(kinds(mixed.send(ready('two', 'b'.repeat(64)))).includes('mark-mixed'));
});
