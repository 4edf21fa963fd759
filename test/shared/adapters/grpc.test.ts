/** gRPC as Tandem uses it: wide windows, no proxy, backpressure, and strangers on the port. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import {
  channelOptions,
  RunService,
  TrainingService,
  tunedServer,
  writeTo,
} from '../../../shared/adapters/grpc.ts';
import { runClient } from '../../../shared/adapters/run-client.ts';
import { messageBytesMax, windowBytes } from '../../../shared/wire/limits.ts';

const status = { run: 'r', generation: 1, state: 'training', step: 3, totalSteps: 9, epoch: 0.5 };

/** A server on a free port that answers `getStatus`; ends with the test. */
async function serve(
  t: TestContext,
  more: grpc.UntypedServiceImplementation = {},
): Promise<number> {
  const server = tunedServer();
  const getStatus = (_call: unknown, reply: grpc.sendUnaryData<typeof status>) =>
    reply(null, status);
  server.addService(RunService.service, { getStatus, watchEvents: () => undefined });
  server.addService(TrainingService.service, {
    converse: () => undefined,
    pushGradients: () => undefined,
    pullWeights: () => undefined,
    listSamples: () => undefined,
    fetchSample: () => undefined,
    ...more,
  });
  t.after(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

test('a session of the server has its windows open from the start', async (t) => {
  const port = await serve(t);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const [settings] = (await once(session, 'remoteSettings')) as [http2.Settings];
  assert.equal(settings.initialWindowSize, windowBytes);
  while ((session.state.remoteWindowSize ?? 0) < windowBytes) await turn();
  assert.equal(session.state.remoteWindowSize, windowBytes);
});

test('a server that is shut down keeps no connection to a peer that stands still', async (t) => {
  const server = tunedServer();
  const port = await new Promise<number>((resolve, reject) => {
    const none = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', none, (error, at) => (error ? reject(error) : resolve(at)));
  });
  // As a process under SIGSTOP or behind a cut link: it began to talk, and never closes its side.
  const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => peer.destroy());
  peer.on('error', () => undefined);
  const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  peer.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), emptySettings]));
  await once(peer, 'data');
  peer.pause();
  const sockets = () =>
    process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  const both = sockets();
  server.tryShutdown(() => undefined);
  await turn();
  server.forceShutdown();
  while (sockets() >= both) await turn();
});

test('a proxy in the environment is ignored', async (t) => {
  const port = await serve(t);
  const before = process.env['http_proxy'];
  // Nobody listens there.
  process.env['http_proxy'] = 'http://127.0.0.1:9';
  t.after(() => {
    if (before === undefined) delete process.env['http_proxy'];
    else process.env['http_proxy'] = before;
  });
  assert.equal((await runClient(`127.0.0.1:${port}`).status()).step, 3);
});

test('strangers on the port do not disturb it', async (t) => {
  const port = await serve(t);
  for (const greeting of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\0\x01\x02'.repeat(5000), '']) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.end(greeting);
    await once(socket.resume(), 'close');
  }
  assert.equal((await runClient(`127.0.0.1:${port}`).status()).run, 'r');
});

test('a message above the limit is refused by the server, and the next one is served', async (t) => {
  const port = await serve(t, {
    converse: (call: grpc.ServerDuplexStream<unknown, unknown>) => {
      call.on('data', () => undefined);
      call.on('end', () => call.end());
      call.on('error', () => undefined);
    },
  });
  const client = new TrainingService(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    ...channelOptions,
    'grpc.max_send_message_length': -1,
  });
  t.after(() => client.close());
  const call = (
    client as unknown as { converse(): grpc.ClientDuplexStream<unknown, unknown> }
  ).converse();
  call.on('data', () => undefined);
  call.write({ leave: { reason: 'x'.repeat(messageBytesMax + 1) } });
  const [error] = (await once(call, 'error')) as [grpc.ServiceError];
  assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
  assert.equal((await runClient(`127.0.0.1:${port}`).status()).run, 'r');
});

test('writing waits for a slow reader', async () => {
  const taken: number[] = [];
  const pending: (() => void)[] = [];
  const stream = new Writable({
    objectMode: true,
    highWaterMark: 2,
    write(message: number, _encoding, done) {
      taken.push(message);
      pending.push(done);
    },
  });
  await writeTo(stream, 1);
  let passed = false;
  const second = writeTo(stream, 2).then(() => {
    passed = true;
  });
  await turn();
  assert.equal(passed, false, 'the buffer is full');
  while (!passed) {
    pending.shift()?.();
    await turn();
  }
  await second;
  assert.deepEqual(taken, [1, 2]);
  assert.equal(stream.listenerCount('drain') + stream.listenerCount('error'), 0);
});

test('writing to a stream that has ended, or ends meanwhile, is an error', async () => {
  const stuck = () => new Writable({ objectMode: true, highWaterMark: 1, write() {} });
  const ended = stuck();
  ended.end();
  await assert.rejects(writeTo(ended, 1), /closed/);
  const closing = stuck();
  const waiting = writeTo(closing, 1);
  closing.destroy();
  await assert.rejects(waiting, /closed/);
  const breaking = stuck();
  breaking.on('error', () => undefined);
  const broken = writeTo(breaking, 1);
  breaking.destroy(new Error('reset by peer'));
  await assert.rejects(broken, /reset by peer/);
});
