/** Events to NATS: a real server where there is one, and nothing waits where there is none. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'nats';
import { natsTarget } from '../../../shared/adapters/nats-connection.ts';
import { type EventPublisher, natsPublisher } from '../../../shared/adapters/nats-publisher.ts';
import type { RunEvent } from '../../../shared/core/events.ts';
import { runSubjects, streamName } from '../../../shared/wire/subjects.ts';
import { type EventList, eventList, numbered } from '../../support/event-list.ts';
import {
  freePort,
  natsSkip as skip,
  startNats,
  targetAt,
  until,
} from '../../support/nats-server.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'tandem-nats-test-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function publisherOf(
  source: EventList,
  target: number | ReturnType<typeof natsTarget>,
  run = 'my run',
): { publisher: EventPublisher; said: string[] } {
  const said: string[] = [];
  const publisher = natsPublisher({
    target: typeof target === 'number' ? targetAt(target) : target,
    run,
    source,
    beat: () => ({ run, generation: 1, seq: source.seq, step: 0, time: '' }),
    say: (state, message) => said.push(`${state}: ${message}`),
  });
  return { publisher, said };
}

/** Everything that the stream of a run holds, by its own numbers. */
async function stored(port: number, run = 'my run'): Promise<{ seq: number; text: string }[]> {
  const client = await connect({ servers: `127.0.0.1:${port}` });
  try {
    const manager = await client.jetstreamManager();
    const { state } = await manager.streams.info(streamName(run));
    const messages: { seq: number; text: string }[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      const message = await manager.streams.getMessage(streamName(run), { seq });
      messages.push({ seq: message.seq, text: message.string() });
    }
    return messages;
  } finally {
    await client.close();
  }
}

const wanted = (source: EventList) =>
  source.events.map((event) => ({ seq: event.seq, text: JSON.stringify(event) }));

test('without a server nothing waits: it is said once, and closing returns', async () => {
  const source = eventList(1000);
  const { publisher, said } = publisherOf(source, await freePort());
  await until(() => said.length > 0, 'the word that nobody answers');
  await publisher.close();
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /^away: nothing goes to NATS at .*training goes on without/);
  assert.equal(publisher.acknowledged, 0);
});

test('a process that closed its publisher ends, though no server ever answered', async () => {
  const module = (path: string) =>
    JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  const script =
    `import { natsPublisher } from ${module('shared/adapters/nats-publisher.js')};` +
    `import { targetAt } from ${module('test/support/nats-server.js')};` +
    `import { eventList } from ${module('test/support/event-list.js')};` +
    `const p = natsPublisher({ target: targetAt(${await freePort()}), run: 'r', ` +
    'source: eventList(3), beat: () => ({}), say: () => {} });' +
    'setTimeout(() => p.close(), 200);';
  const env = { ...process.env, CI: '' };
  const args = ['--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
  const ended = await Promise.race([
    once(child, 'exit').then(([code]) => code as number),
    sleep(20_000, 'still there', { ref: false }),
  ]);
  child.kill('SIGKILL');
  assert.equal(ended, 0);
});

test('the stream holds every event once, under its own number', { skip }, async (t) => {
  const port = await freePort();
  await startNats(t, port, { store: folder(t) });
  const source = eventList(500);
  const { publisher, said } = publisherOf(source, port);
  await until(() => publisher.acknowledged === 500, '500 events');
  for (let seq = 501; seq <= 700; seq += 1) source.push(numbered(seq));
  source.end();
  await publisher.close();
  assert.deepEqual(await stored(port), wanted(source));
  assert.match(said.join(), /^connected: .*stream tandem_my_run$/);
});

test('a server killed and started again three times misses nothing and doubles nothing', {
  skip,
}, async (t) => {
  const port = await freePort();
  const store = folder(t);
  const source = eventList();
  const { publisher } = publisherOf(source, port);
  t.after(() => publisher.close());
  for (let life = 1; life <= 3; life += 1) {
    const server = await startNats(t, port, { store });
    // Some while it is there, some while it dies, some while it is away.
    for (let i = 0; i < 200; i += 1) source.push(numbered(source.seq + 1));
    await until(() => publisher.acknowledged > 200 * life - 150, 'the first of this life');
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  }
  await startNats(t, port, { store });
  await until(() => publisher.acknowledged === 600, 'all 600');
  assert.deepEqual(await stored(port), wanted(source));
});

test('another life of the coordinator goes on where the stream ends', { skip }, async (t) => {
  const port = await freePort();
  await startNats(t, port, { store: folder(t) });
  const source = eventList(50);
  const first = publisherOf(source, port);
  await until(() => first.publisher.acknowledged === 50, 'the first life');
  await first.publisher.close();
  for (let seq = 51; seq <= 80; seq += 1) source.push(numbered(seq));
  const second = publisherOf(source, port);
  await until(() => second.publisher.acknowledged === 80, 'the second life');
  await second.publisher.close();
  assert.deepEqual(await stored(port), wanted(source));
  assert.ok(![...first.said, ...second.said].some((line) => line.includes('replaced')));
});

test('a stream with the events of another run of that name is replaced, and it is said', {
  skip,
}, async (t) => {
  const port = await freePort();
  await startNats(t, port, { store: folder(t) });
  const old = publisherOf(eventList(90, ' of old'), port);
  await until(() => old.publisher.acknowledged === 90, 'the old run');
  await old.publisher.close();
  const source = eventList(40);
  const { publisher, said } = publisherOf(source, port);
  await until(() => publisher.acknowledged === 40, 'the new run');
  await publisher.close();
  assert.deepEqual(await stored(port), wanted(source));
  assert.match(said.join(), /held other events under the name my run: they are replaced/);
});

test('two coordinators of one name do not fight for ever: one gives up', { skip }, async (t) => {
  const port = await freePort();
  await startNats(t, port, { store: folder(t) });
  const one = eventList(5, ' of one');
  const two = eventList(5, ' of two');
  const rivals = [publisherOf(one, port), publisherOf(two, port)];
  const gaveUp = () => rivals.some(({ said }) => said.join().includes('another run named my run'));
  for (let seq = 6; !gaveUp(); seq += 1) {
    assert.ok(seq < 6000, 'they still fight');
    one.push(numbered(seq, ' of one'));
    two.push(numbered(seq, ' of two'));
    await sleep(10);
  }
  const [winner, source] = rivals[0]?.said.join().includes('another run named')
    ? [rivals[1], two]
    : [rivals[0], one];
  await until(() => winner?.publisher.acknowledged === source.seq, 'the other one');
  assert.deepEqual(await stored(port), wanted(source));
  for (const { publisher } of rivals) await publisher.close();
});

test('a server without JetStream gets plain messages, which is said once', { skip }, async (t) => {
  const port = await freePort();
  const server = await startNats(t, port);
  const reader = await connect({ servers: `127.0.0.1:${port}`, reconnectTimeWait: 50 });
  t.after(() => reader.close());
  const got: RunEvent[] = [];
  reader.subscribe(runSubjects('my run'), {
    callback: (_, message) => {
      const value = JSON.parse(message.string());
      if (value.kind !== undefined) got.push(value as RunEvent);
    },
  });
  await reader.flush();
  const source = eventList(3);
  const { publisher, said } = publisherOf(source, port);
  t.after(() => publisher.close());
  await until(() => publisher.state === 'core', 'the connection');
  for (let seq = 4; seq <= 200; seq += 1) source.push(numbered(seq));
  await until(() => got.length >= 197, 'what is new since it began');
  assert.deepEqual(got, source.events.slice(3));
  server.kill('SIGKILL');
  await until(() => publisher.state === 'away', 'the loss');
  await startNats(t, port);
  await until(() => publisher.state === 'core', 'the return');
  assert.equal(said.filter((line) => line.includes('no JetStream')).length, 1);
});

test('a full server keeps what it took; what it refuses follows when there is room', {
  skip,
}, async (t) => {
  const port = await freePort();
  const store = folder(t);
  // The stream's smallest size does not fit: nothing can be kept here.
  const tight = `jetstream { store_dir: "${store}/store", max_file: 100000, max_mem: 1000 }`;
  const server = await startNats(t, port, { store, config: tight });
  const source = eventList(300);
  const { publisher, said } = publisherOf(source, port);
  await until(() => said.length > 0, 'the word that it is refused');
  assert.match(said.join(), /insufficient|resources|storage/i);
  assert.equal(publisher.acknowledged, 0);
  const gone = once(server, 'exit');
  server.kill('SIGKILL');
  await gone;
  await startNats(t, port, { store });
  await until(() => publisher.acknowledged === 300, 'room');
  await publisher.close();
  assert.deepEqual(await stored(port), wanted(source));
});

test('a stalled server holds nobody: a bounded number is under way, and all arrive', {
  skip,
}, async (t) => {
  const port = await freePort();
  const server = await startNats(t, port, { store: folder(t) });
  const source = eventList(10);
  const { publisher } = publisherOf(source, port);
  await until(() => publisher.acknowledged === 10, 'the first');
  server.kill('SIGSTOP');
  // The signal takes a moment: until then the server still takes what comes.
  const isStopped = () => / [Tt] /.test(readFileSync(`/proc/${server.pid}/stat`, 'utf8'));
  await until(isStopped, 'the server to stand still');
  for (let seq = 11; seq <= 5000; seq += 1) source.push(numbered(seq));
  await sleep(300);
  assert.equal(publisher.acknowledged, 10);
  server.kill('SIGCONT');
  await until(() => publisher.acknowledged === 5000, 'the rest');
  await publisher.close();
  assert.deepEqual(await stored(port), wanted(source));
});

test('wrong credentials are said without the secret, and the right ones are let in', {
  skip,
}, async (t) => {
  const port = await freePort();
  const store = folder(t);
  await startNats(t, port, { store, config: 'authorization { token: "hush-hush" }' });
  const url = `nats://127.0.0.1:${port}`;
  const wrong = natsTarget({ nats: url }, 'a test', { TANDEM_NATS_TOKEN: 'not-this-one' });
  const refused = publisherOf(eventList(5), wrong);
  await until(() => refused.said.length > 0, 'the refusal');
  await refused.publisher.close();
  assert.match(refused.said.join(), /authorization/i);
  assert.doesNotMatch(refused.said.join(), /not-this-one|hush/);
  const right = natsTarget({ nats: url }, 'a test', { TANDEM_NATS_TOKEN: 'hush-hush' });
  const let_in = publisherOf(eventList(5), right);
  await until(() => let_in.publisher.acknowledged === 5, 'five events');
  await let_in.publisher.close();
});
