/**
 * `tandem status` of a run folder whose coordinator can or cannot be asked: only one that is gone
 * leaves the word to the events. One that refuses, is not trusted or stands still is no interrupted
 * run.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { RunService, tunedServer } from '../../shared/adapters/grpc.ts';
import { authority } from '../support/authority.ts';
import { command } from '../support/command.ts';
import { pretendRun } from '../support/pretend-events.ts';
import { scratch } from '../support/processes.ts';

type Answer = (reply: grpc.sendUnaryData<object>) => void;
const refused =
  (code: grpc.status, details: string): Answer =>
  (reply) =>
    reply({ code, details });

/** A run that trains, as its folder tells it. */
function runAt(t: TestContext, address: string): string {
  const run = join(scratch(t), 'run');
  mkdirSync(run);
  const told = pretendRun({ run: 'run', steps: 5, workers: ['w'] });
  const events = [...told.begin(), told.committed()];
  writeFileSync(join(run, 'events.jsonl'), events.map((e) => `${JSON.stringify(e)}\n`).join(''));
  writeFileSync(join(run, 'coordinator.json'), JSON.stringify({ address, pid: 1, generation: 1 }));
  return run;
}

async function serve(
  t: TestContext,
  answer: Answer,
  credentials = grpc.ServerCredentials.createInsecure(),
): Promise<string> {
  const server = tunedServer();
  const getStatus = (_call: unknown, reply: grpc.sendUnaryData<object>) => answer(reply);
  server.addService(RunService.service, { getStatus });
  t.after(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    );
  });
}

test('a coordinator that is gone leaves the word to the events', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  const { code, out, err } = await command(['status', runAt(t, `127.0.0.1:${port}`)]);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^run run: interrupted, .*\n[\s\S]*no workers\n$/);
});

const { UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED } = grpc.status;
for (const [what, answer, exit, words] of [
  ['asks for a token', refused(UNAUTHENTICATED, 'a token: --token-file'), 77, /unauthenticated/],
  ['does not allow it', refused(PERMISSION_DENIED, 'role worker may not'), 77, /forbidden/],
  ['serves as many as it can', refused(RESOURCE_EXHAUSTED, 'at most 2'), 75, /full/],
  ['stands still', () => undefined, 75, /found none in 5 s: it is stopped, very busy.*\(silent\)/],
] as const)
  test(`a coordinator that ${what} is not told as gone`, async (t) => {
    const { code, out, err } = await command(['status', runAt(t, await serve(t, answer))]);
    assert.deepEqual([code, out], [exit, '']);
    assert.match(err, words);
  });

test('a coordinator that is not trusted is not told as gone', async (t) => {
  const folder = scratch(t);
  const { cert, key } = authority(folder).files('coordinator', 'coordinator');
  const pair = { cert_chain: readFileSync(cert), private_key: readFileSync(key) };
  const credentials = grpc.ServerCredentials.createSsl(null, [pair]);
  const run = runAt(t, await serve(t, (reply) => reply(null, {}), credentials));
  const { ca } = authority(folder, 'other');
  const { code, out, err } = await command(['status', run, '--tls-ca', ca]);
  assert.deepEqual([code, out], [77, '']);
  assert.match(err, /no trust between this command and the coordinator: .*\(untrusted\)/);
});
