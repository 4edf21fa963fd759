/** Events to NATS: a real server where there is one, and nothing waits where there is none. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as net from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'nats';
import {
  type EventPublisher,
  natsPublisher,
  withoutSecret,
} from '../../../shared/adapters/nats-publisher.ts';
import type { RunEvent } from '../../../shared/core/events.ts';
import { runSubjects } from '../../../shared/wire/subjects.ts';

const program = process.env['TANDEM_NATS_SERVER'];
const skip = program ? false : 'no nats-server here (npm test finds one)';

const eventOf = (seq: number): RunEvent => ({
  seq,
  time: '2020-11-20T00:00:00.000Z',
  step: seq,
  because: 'a test',
  kind: seq % 2 ? 'warning' : 'run-failed',
  code: 'x',
  message: `é ${seq}`,
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function startServer(t: TestContext, port: number): Promise<ChildProcess> {
  const server = spawn(program ?? '', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  t.after(() => server.kill('SIGKILL'));
  for (let tries = 0; tries < 200; tries += 1) {
    const socket = net.connect(port, '127.0.0.1');
    const up = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (up) return server;
    await sleep(25);
  }
  throw new Error('the NATS server did not start');
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !holds(); waited += 20) {
    if (waited > 10_000) throw new Error(`waited 10 s for: ${what}`);
    await sleep(20);
  }
}

function publisherAt(port: number): { publisher: EventPublisher; said: string[] } {
  const said: string[] = [];
  const publisher = natsPublisher(`nats://127.0.0.1:${port}`, 'my run', (state, message) =>
    said.push(`${state}: ${message}`),
  );
  return { publisher, said };
}

test('an address is shown without its password', () => {
  for (const [url, shown] of [
    ['nats://127.0.0.1:4222', 'nats://127.0.0.1:4222'],
    ['nats://me:secret@host:4222', 'nats://***@host:4222'],
    ['nats://me:se@cr@et@host', 'nats://***@host'],
    ['token@host', '***@host'],
    ['nats://a:b@one,nats://c:d@two', 'nats://***@one,nats://***@two'],
  ] as const)
    assert.equal(withoutSecret(url), shown);
});

test('without a server nothing waits: publishing returns, closing returns, it is said once', async () => {
  const { publisher, said } = publisherAt(await freePort());
  const began = performance.now();
  for (let seq = 1; seq <= 1000; seq += 1) publisher.publish(eventOf(seq));
  assert.ok(performance.now() - began < 500);
  await until(() => said.length > 0, 'the word that nobody answers');
  await sleep(700);
  const closing = performance.now();
  await publisher.close();
  assert.ok(performance.now() - closing < 1000);
  publisher.publish(eventOf(1001));
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /^away: no NATS server answers at .*training goes on without/);
});

test('a process that closed its publisher ends, though no server ever answered', async () => {
  const module = new URL('../../../shared/adapters/nats-publisher.js', import.meta.url).href;
  const script =
    `import { natsPublisher } from ${JSON.stringify(module)};` +
    `const p = natsPublisher('nats://127.0.0.1:${await freePort()}', 'r', () => {});` +
    'setTimeout(() => p.close(), 200);';
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  const ended = await Promise.race([
    once(child, 'exit').then(([code]) => code as number),
    sleep(8000, 'still there', { ref: false }),
  ]);
  child.kill('SIGKILL');
  assert.equal(ended, 0);
});

test('every event arrives in order, on a subject of its kind, under the name of the run', {
  skip,
}, async (t) => {
  const port = await freePort();
  await startServer(t, port);
  const reader = await connect({ servers: `127.0.0.1:${port}` });
  t.after(() => reader.close());
  const got: { subject: string; event: RunEvent }[] = [];
  void (async () => {
    for await (const { subject, string } of messagesOf(reader.subscribe(runSubjects('my run'))))
      got.push({ subject, event: JSON.parse(string) as RunEvent });
  })();
  await reader.flush();
  const { publisher, said } = publisherAt(port);
  await until(() => said.length > 0, 'the connection');
  assert.match(said[0] ?? '', /^connected: /);
  for (let seq = 1; seq <= 500; seq += 1) publisher.publish(eventOf(seq));
  await publisher.close();
  await until(() => got.length >= 500, '500 events');
  assert.deepEqual(
    got.map(({ event }) => event),
    Array.from({ length: 500 }, (_, i) => eventOf(i + 1)),
  );
  assert.equal(got[0]?.subject, 'tandem.my_run.warning');
  assert.equal(got[1]?.subject, 'tandem.my_run.run-failed');
});

test('a server that goes and comes back is said both times, and events flow again', {
  skip,
}, async (t) => {
  const port = await freePort();
  const first = await startServer(t, port);
  const { publisher, said } = publisherAt(port);
  t.after(() => publisher.close());
  await until(() => said.length === 1, 'the connection');
  first.kill('SIGKILL');
  await until(() => said.length === 2, 'the loss');
  assert.match(said[1] ?? '', /^away: .*went away/);
  for (let seq = 1; seq <= 100; seq += 1) publisher.publish(eventOf(seq));
  await startServer(t, port);
  const reader = await connect({ servers: `127.0.0.1:${port}` });
  t.after(() => reader.close());
  const got: RunEvent[] = [];
  void (async () => {
    for await (const { string } of messagesOf(reader.subscribe(runSubjects('my run'))))
      got.push(JSON.parse(string) as RunEvent);
  })();
  await reader.flush();
  await until(() => said.length === 3, 'the return');
  assert.match(said[2] ?? '', /^connected: .*is back/);
  publisher.publish(eventOf(101));
  await until(() => got.length > 0, 'an event');
  assert.equal(got[0]?.seq, 101, 'what happened meanwhile is refilled from the file, not queued');
});

async function* messagesOf(subscription: AsyncIterable<{ subject: string; string(): string }>) {
  for await (const message of subscription)
    yield { subject: message.subject, string: message.string() };
}
