/** Probes in plain text: what they learn, and that nothing else is served beside them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { RunService } from '../../../shared/adapters/grpc.ts';
import { readyService, serveHealth } from '../../../shared/adapters/health.ts';
import { askHealth } from '../../support/health-probe.ts';

test('a process lives before it takes part, and says both', async (t) => {
  const health = await serveHealth('127.0.0.1:0');
  t.after(() => health.close());
  assert.equal(await askHealth(health.address, ''), 'SERVING');
  assert.equal(await askHealth(health.address, readyService), 'NOT_SERVING');
  health.setReady(true);
  assert.equal(await askHealth(health.address, readyService), 'SERVING');
  health.setReady(false);
  assert.equal(await askHealth(health.address, readyService), 'NOT_SERVING');
});

test('the port of the probes serves nothing else', async (t) => {
  const health = await serveHealth('127.0.0.1:0');
  t.after(() => health.close());
  const client = new RunService(health.address, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const status = client['GetStatus'] as unknown as (
    request: object,
    reply: (error: grpc.ServiceError | null) => void,
  ) => void;
  const code = await new Promise((resolve) => {
    status.call(client, {}, (error) => resolve(error?.code));
  });
  assert.equal(code, grpc.status.UNIMPLEMENTED);
});

test('a port that is taken is refused by name', async (t) => {
  const first = await serveHealth('127.0.0.1:0');
  t.after(() => first.close());
  await assert.rejects(serveHealth(first.address), /Choose another --health/);
});
