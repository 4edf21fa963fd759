/** Roles: every method of every service that a coordinator serves has a row, and nothing else passes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packageDefinition } from '../../../shared/adapters/grpc.ts';
import { forbidden, nameOf, permissions, roleOf } from '../../../shared/core/roles.ts';

test('every method of ours has a row', () => {
  const paths = Object.values(packageDefinition).flatMap((definition) =>
    'format' in definition ? [] : Object.values(definition).map(({ path }) => path),
  );
  assert.ok(paths.length >= 8);
  for (const path of paths) assert.ok(Object.hasOwn(permissions, path), path);
});

test('a method without a row is for nobody', () => {
  for (const path of ['/tandem.v1.RunService/Erase', '', 'constructor', '/__proto__'])
    assert.match(forbidden(path, { role: 'coordinator', name: null }) ?? '', /nobody/);
});

test('workers train, watchers look, admins steer, and none does the other’s', () => {
  const may = (role: 'worker' | 'watcher' | 'admin', method: string) =>
    forbidden(`/tandem.v1.${method}`, { role, name: null }) === null;
  assert.ok(may('worker', 'TrainingService/PushGradients'));
  assert.ok(!may('worker', 'RunService/DrainWorker'));
  assert.ok(!may('worker', 'RunService/WatchEvents'));
  assert.ok(may('watcher', 'RunService/WatchEvents'));
  assert.ok(!may('watcher', 'TrainingService/PushGradients'));
  assert.ok(!may('watcher', 'RunService/DrainWorker'));
  assert.ok(may('admin', 'RunService/DrainWorker'));
  assert.ok(!may('admin', 'TrainingService/Converse'));
});

test('a certificate says one role, or none', () => {
  assert.equal(roleOf(['tandem:worker']), 'worker');
  assert.equal(roleOf(['Example Ltd', 'tandem:watcher']), 'watcher');
  for (const said of [[], ['worker'], ['tandem:root'], ['tandem:worker', 'tandem:admin']])
    assert.equal(roleOf(said), null);
});

test('a name is a name, * is any, and nothing is no proof', () => {
  assert.equal(nameOf('gpu-1'), 'gpu-1');
  assert.equal(nameOf('*'), null);
  assert.equal(nameOf(''), undefined);
  assert.equal(nameOf(undefined), undefined);
});
