/** RunService from the outside: status once, events from a number on, an address where nobody is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { type TestContext, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { RunService, tunedServer, writeTo } from '../../../shared/adapters/grpc.ts';
import { runClient } from '../../../shared/adapters/run-client.ts';
import type { RunEvent } from '../../../shared/core/events.ts';
import { Failure } from '../../../shared/core/failures.ts';

type Watch = grpc.ServerWritableStream<{ since: number }, { seq: number; json: string }>;

const eventOf = (seq: number): RunEvent => ({
  seq,
  time: '2020-11-20T00:00:00.000Z',
  step: seq,
  because: 'a test',
  kind: 'warning',
  code: 'x',
  message: `é ${seq}`,
});

async function serve(t: TestContext, watchEvents: (call: Watch) => void): Promise<string> {
  const server = tunedServer();
  const getStatus = (_call: unknown, reply: grpc.sendUnaryData<object>) =>
    reply(null, { run: 'r', generation: 2, state: 'training', step: 0, totalSteps: 9, epoch: 0 });
  server.addService(RunService.service, { getStatus, watchEvents });
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return `127.0.0.1:${port}`;
}

const send = (call: Watch, event: RunEvent) =>
  writeTo(call, { seq: event.seq, json: JSON.stringify(event) });

/** An address at which nobody listens. */
async function nowhere(): Promise<string> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return `127.0.0.1:${port}`;
}

const unreachable = (error: unknown) => {
  assert.ok(error instanceof Failure);
  assert.equal(error.code, 'coordinator-unreachable');
  return true;
};

test('figures that are not known yet are null, not 0', async (t) => {
  const status = await runClient(await serve(t, () => undefined)).status();
  assert.deepEqual(
    [status.run, status.step, status.loss, status.std, status.imagesPerSecond, status.workers],
    ['r', 0, null, null, null, []],
  );
});

test('events come in order from the number asked for, to the end of the run', async (t) => {
  const address = await serve(t, async (call) => {
    for (let seq = call.request.since + 1; seq <= 5; seq += 1) await send(call, eventOf(seq));
    call.end();
  });
  const seen: RunEvent[] = [];
  const { signal } = new AbortController();
  for await (const event of runClient(address).watch(2, signal)) seen.push(event);
  assert.deepEqual(seen, [3, 4, 5].map(eventOf));
});

test('a watcher that is aborted ends at once and quietly, before or while it waits', async (t) => {
  let cancelled = 0;
  const address = await serve(t, (call) => {
    call.on('cancelled', () => {
      cancelled += 1;
    });
    void send(call, eventOf(1));
  });
  for await (const event of runClient(address).watch(0, AbortSignal.abort()))
    assert.fail(`saw ${event.seq}`);
  const controller = new AbortController();
  const seen: number[] = [];
  for await (const { seq } of runClient(address).watch(0, controller.signal)) {
    seen.push(seq);
    setTimeout(() => controller.abort(), 20);
  }
  assert.deepEqual(seen, [1]);
  while (cancelled === 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('where nobody listens, both say so with the address', async () => {
  const address = await nowhere();
  await assert.rejects(runClient(address).status(), (error: unknown) => {
    assert.match((error as Error).message, new RegExp(`no coordinator answers at ${address}`));
    return unreachable(error);
  });
  const watching = (async () => {
    for await (const event of runClient(address).watch(0, new AbortController().signal))
      assert.fail(`saw ${event.seq}`);
  })();
  await assert.rejects(watching, unreachable);
});

test('a coordinator that breaks off is an error, not the end of the run', async (t) => {
  const address = await serve(t, async (call) => {
    await send(call, eventOf(1));
    call.emit('error', { code: grpc.status.INTERNAL, details: 'broke' });
  });
  const seen: number[] = [];
  const watching = (async () => {
    const { signal } = new AbortController();
    for await (const { seq } of runClient(address).watch(0, signal)) seen.push(seq);
  })();
  await assert.rejects(watching, unreachable);
  assert.deepEqual(seen, [1]);
});
