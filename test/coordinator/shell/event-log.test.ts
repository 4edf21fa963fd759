/** events.jsonl: numbers without gaps over every life, for any reader at any pace. */
import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type EventLog, openEventLog } from '../../../coordinator/shell/event-log.ts';
import type { RunEvent } from '../../../shared/core/events.ts';
import { runFolder } from '../../support/tiny-run.ts';

const warning = (message: string) => ({ kind: 'warning', code: 'test', message }) as const;
const unheard = () => undefined;
const never = () => new AbortController().signal;

async function say(log: EventLog, from: number, to: number): Promise<void> {
  for (let i = from; i <= to; i += 1) await log.append(warning(`event ${i}`), i, 'a test');
}

async function collect(log: EventLog, after: number, count: number): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of log.after(after, never())) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

const upTo = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const numbers = (events: RunEvent[]) => events.map(({ seq }) => seq);

test('numbers count from 1 without gaps over the lives of a folder', async (t) => {
  const folder = await runFolder(t);
  const first = await openEventLog(folder, 1, unheard);
  await say(first, 1, 3);
  await first.close();
  const old: RunEvent[] = [];
  const second = await openEventLog(folder, 2, (event) => old.push(event));
  assert.deepEqual(numbers(old), [1, 2, 3]);
  await Promise.all([say(second, 4, 4), say(second, 5, 5), say(second, 6, 6)]);
  assert.deepEqual(numbers(await collect(second, 0, 6)), upTo(1, 6));
  await second.close();
  const lines = (await readFile(join(folder, 'events.jsonl'), 'utf8')).trimEnd().split('\n');
  assert.deepEqual(numbers(lines.map((line) => JSON.parse(line) as RunEvent)), upTo(1, 6));
});

test('an event has its number, time, step and reason, and is in the file before it is returned', async (t) => {
  const folder = await runFolder(t);
  const log = await openEventLog(folder, 1, unheard);
  const event = await log.append(warning('x'), 7, 'because of a test');
  assert.deepEqual(
    [event.seq, event.step, event.because, event.kind],
    [1, 7, 'because of a test', 'warning'],
  );
  assert.match(event.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const text = await readFile(join(folder, 'events.jsonl'), 'utf8');
  assert.deepEqual(JSON.parse(text), event);
  await log.close();
});

test('a torn line at the end is cut and its number is given again', async (t) => {
  const folder = await runFolder(t);
  const log = await openEventLog(folder, 1, unheard);
  await say(log, 1, 2);
  await log.close();
  await appendFile(join(folder, 'events.jsonl'), '{"seq":3,"kind":"warn');
  const again = await openEventLog(folder, 2, unheard);
  await say(again, 3, 3);
  assert.deepEqual(numbers(await collect(again, 0, 3)), [1, 2, 3]);
  await again.close();
});

test('lines that hold no event do not stop a run from being opened, or watched', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'events.jsonl');
  const log = await openEventLog(folder, 1, unheard);
  await say(log, 1, 3);
  await log.close();
  const [one, two, three] = (await readFile(path, 'utf8')).split('\n');
  const nuls = '\0'.repeat(40);
  await writeFile(path, [one, '{"seq":', 'null', '7', nuls, two, three, nuls, ''].join('\n'));
  const heard: RunEvent[] = [];
  const again = await openEventLog(folder, 2, (event) => heard.push(event));
  assert.deepEqual(numbers(heard), [1, 2, 3]);
  await say(again, 4, 4);
  assert.deepEqual(numbers(await collect(again, 1, 3)), [2, 3, 4]);
  await again.close();
});

test('texts with line ends of Unicode come back from the file', async (t) => {
  const folder = await runFolder(t);
  const log = await openEventLog(folder, 1, unheard);
  await log.append(warning('a\u2028b\nc\rd'), 0, 'x');
  await log.close();
  const heard: RunEvent[] = [];
  const again = await openEventLog(folder, 2, (event) => heard.push(event));
  assert.equal(heard[0]?.kind === 'warning' && heard[0].message, 'a\u2028b\nc\rd');
  await again.close();
});

test('a reader sees old events from the file, then live ones, from any number on', async (t) => {
  const folder = await runFolder(t);
  const first = await openEventLog(folder, 1, unheard);
  await say(first, 1, 5);
  await first.close();
  const log = await openEventLog(folder, 2, unheard);
  const readers = [0, 3, 5, 7].map((from) => collect(log, from, 9 - from));
  await turn();
  await say(log, 6, 9);
  const seen = await Promise.all(readers);
  assert.deepEqual(seen.map(numbers), [upTo(1, 9), upTo(4, 9), upTo(6, 9), upTo(8, 9)]);
  await log.close();
});

test('a reader that comes while the first event of a life is being written misses nothing', async (t) => {
  const folder = await runFolder(t);
  const first = await openEventLog(folder, 1, unheard);
  await say(first, 1, 2);
  await first.close();
  const log = await openEventLog(folder, 2, unheard);
  const appended = log.append(warning('event 3'), 3, 'a test');
  const reader = collect(log, 2, 2);
  await appended;
  await say(log, 4, 4);
  assert.deepEqual(numbers(await reader), [3, 4]);
  await log.close();
});

test('a slow reader misses nothing, sees nothing twice and holds nobody up', async (t) => {
  const folder = await runFolder(t);
  const log = await openEventLog(folder, 1, unheard);
  const seen: number[] = [];
  let release = () => undefined as void;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const total = 4000;
  await say(log, 1, 1100);
  const reading = (async () => {
    for await (const { seq } of log.after(0, never())) {
      seen.push(seq);
      // Once within the file, once within the ring.
      if (seq === 10) await gate;
      if (seq % 500 === 0) await turn();
      if (seq === total) return;
    }
  })();
  await say(log, 1101, total);
  assert.ok(seen.length <= 10, 'the writer was not held up');
  release();
  await reading;
  assert.deepEqual(seen, upTo(1, total));
  await log.close();
});

test('closing ends the readers, after the last event', async (t) => {
  const folder = await runFolder(t);
  const log = await openEventLog(folder, 1, unheard);
  await say(log, 1, 2);
  const reader = collect(log, 0, 99);
  await turn();
  await say(log, 3, 3);
  await log.close();
  assert.deepEqual(numbers(await reader), [1, 2, 3]);
});

test('a reader that is aborted ends, waiting or not', async (t) => {
  const folder = await runFolder(t);
  const log = await openEventLog(folder, 1, unheard);
  await say(log, 1, 2);
  const controller = new AbortController();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { seq } of log.after(0, controller.signal)) seen.push(seq);
  })();
  while (seen.length < 2) await turn();
  controller.abort();
  await reading;
  for await (const event of log.after(0, controller.signal)) assert.fail(`saw ${event.seq}`);
  await log.close();
});

test('the last event of a kind is known over lives', async (t) => {
  const folder = await runFolder(t);
  const first = await openEventLog(folder, 1, unheard);
  await say(first, 1, 2);
  await first.append({ kind: 'worker-left', worker: 'w' }, 2, 'x');
  await first.close();
  const log = await openEventLog(folder, 2, unheard);
  assert.equal(log.lastOf('warning')?.message, 'event 2');
  assert.equal(log.lastOf('worker-left')?.seq, 3);
  assert.equal(log.lastOf('run-done'), undefined);
  await log.append(warning('newer'), 3, 'x');
  assert.equal(log.lastOf('warning')?.message, 'newer');
  await log.close();
});
