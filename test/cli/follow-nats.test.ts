/**
 * Following a run on a real NATS server: in order, without holes where they can be filled.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'nats';
import { natsTarget } from '../../shared/adapters/nats-connection.ts';
import { followEvents } from '../../cli/follow.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { eventSubject, streamName, streamSubject } from '../../shared/wire/subjects.ts';
import { freePort, startNats, targetAt, until } from '../support/nats-server.ts';

const binary = process.env['TANDEM_NATS_SERVER'];
const options = { skip: binary === undefined ? 'no nats-server (npm test brings one)' : false };
const base = mkdtempSync(join(tmpdir(), 'tandem-nats-'));
let server: ChildProcess | null = null;
let url = '';

before(async () => {
  if (binary === undefined) return;
  const args = ['-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', base];
  server = spawn(binary, args, { stdio: 'ignore' });
  for (let tries = 0; url === '' && tries < 200; tries += 1) {
    await sleep(50);
    const file = readdirSync(base).find((name) => name.endsWith('.ports'));
    if (file !== undefined) url = JSON.parse(readFileSync(join(base, file), 'utf8')).nats[0];
  }
  assert.notEqual(url, '', 'the server did not say where it listens');
});

after(() => {
  server?.kill();
  rmSync(base, { recursive: true, force: true });
});

const event = (seq: number, last: number): RunEvent => ({
  seq,
  time: '2026-01-01T12:00:00.000Z',
  step: seq,
  because: 'told',
  ...(seq === last
    ? { kind: 'run-failed', code: 'internal', message: 'the end' }
    : { kind: 'warning', code: 'w', message: `number ${seq}` }),
});

/** Publishes these numbers of a run of seven events, once someone listens. */
async function publish(run: string, numbers: readonly number[]): Promise<void> {
  const client = await connect({ servers: url });
  for (const seq of numbers) {
    const told = event(seq, 7);
    client.publish(eventSubject(run, told.kind), JSON.stringify(told));
  }
  await client.drain();
}

/** Follows until the end while `numbers` are published; what came and which gaps were told. */
async function follow(
  name: string,
  run: string,
  numbers: readonly number[],
): Promise<{ seen: number[]; gaps: number[][] }> {
  const gaps: number[][] = [];
  const seen: number[] = [];
  const signal = AbortSignal.timeout(20_000);
  const onGap = (first: number, last: number): number => gaps.push([first, last]);
  const following = (async () => {
    const asked = { nats: natsTarget({ nats: url }, 'a test', {}), run, since: 0, signal, onGap };
    for await (const { seq } of followEvents(asked)) seen.push(seq);
  })();
  await sleep(500);
  await publish(name, numbers);
  await following;
  return { seen, gaps };
}

test('events missed on the wire are refilled from the run folder, in order', options, async () => {
  const run = join(base, 'whole');
  mkdirSync(run);
  const lines = [1, 2, 3, 4, 5, 6, 7].map((seq) => `${JSON.stringify(event(seq, 7))}\n`);
  writeFileSync(join(run, 'events.jsonl'), lines.join(''));
  // Begins with the past, fills a hole, ignores what comes twice or late.
  const { seen, gaps } = await follow('whole', run, [3, 6, 5, 6, 7]);
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(gaps, []);
});

test('a hole that nothing fills is told, and the following goes on', options, async () => {
  const { seen, gaps } = await follow('hollow', join(base, 'hollow'), [1, 2, 5, 7]);
  assert.deepEqual(seen, [1, 2, 5, 7]);
  assert.deepEqual(gaps, [
    [3, 4],
    [6, 6],
  ]);
});

test('another run on the same server is not heard', options, async () => {
  const following = follow('mine', join(base, 'mine'), [1, 7]);
  await sleep(600);
  await publish('other', [1, 2, 3]);
  assert.deepEqual((await following).seen, [1, 7]);
});

/** A stream of a run on a server of its own, and who follows that run. */
async function kept(t: TestContext, run: string) {
  const port = await freePort();
  await startNats(t, port, { store: mkdtempSync(join(base, 'store-')) });
  const client = await connect({ servers: `127.0.0.1:${port}` });
  t.after(() => client.close());
  const manager = await client.jetstreamManager();
  await manager.streams.add({ name: streamName(run), subjects: [streamSubject(run)] });
  const seen: number[] = [];
  const gaps: number[][] = [];
  const signal = AbortSignal.timeout(60_000);
  return {
    ...{ client, manager, seen, gaps },
    /** As the coordinator publishes: an event may only follow the one before it. */
    store: async (seq: number): Promise<unknown> => {
      const told = event(seq, 7);
      const expect = { lastSequence: seq - 1 };
      const text = JSON.stringify(told);
      return client.jetstream().publish(eventSubject(run, told.kind), text, { expect });
    },
    async follow(): Promise<void> {
      const onGap = (first: number, last: number): number => gaps.push([first, last]);
      const asked = { nats: targetAt(port), run, since: 0, signal, onGap };
      for await (const { seq } of followEvents(asked)) seen.push(seq);
    },
  };
}

test(
  'an event that the stream refused is heard, passed over, and read in its place',
  options,
  async (t) => {
    const { client, store, seen, gaps, follow: begin } = await kept(t, 'refused');
    for (const seq of [1, 2, 3]) await store(seq);
    const following = begin();
    await until(() => seen.length === 3, 'the events before');
    // A server that lost its end: 6 does not follow 3, and every listener hears it all the same.
    let heard = 0;
    client.subscribe('tandem.refused.*', { callback: () => (heard += 1) });
    await client.flush();
    await assert.rejects(store(6), /wrong last sequence/);
    await until(() => heard === 1, 'the refused event on the wire');
    for (const seq of [4, 5, 6, 7]) await store(seq);
    await following;
    assert.deepEqual([seen, gaps], [[1, 2, 3, 4, 5, 6, 7], []]);
  },
);

test('what the limits of a stream have cut is told, and the rest is read', options, async (t) => {
  const { manager, store, seen, gaps, follow: begin } = await kept(t, 'cut');
  for (const seq of [1, 2, 3, 4, 5]) await store(seq);
  await manager.streams.purge(streamName('cut'), { seq: 4 });
  const following = begin();
  await until(() => seen.length === 2, 'what is left');
  for (const seq of [6, 7]) await store(seq);
  await following;
  assert.deepEqual([seen, gaps], [[4, 5, 6, 7], [[1, 3]]]);
});
