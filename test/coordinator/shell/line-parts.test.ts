/**
 * Parts: older lines compressed, numbers and bytes intact, for writers that die or are overtaken and
 * for readers that come at any moment.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEventLog } from '../../../coordinator/shell/event-log.ts';
import { type JsonlFile, openJsonl } from '../../../coordinator/shell/jsonl-file.ts';
import {
  countingParts,
  eventNumber,
  partsFolder,
  partsOf,
  readNumberedLines,
  recordNumber,
} from '../../../coordinator/shell/line-parts.ts';
import { takeGeneration } from '../../../coordinator/shell/run-folder.ts';
import { followFolder } from '../../../cli/follow-folder.ts';
import { summaryOf } from '../../../cli/run-folder.ts';
import { runFolder } from '../../support/tiny-run.ts';

/** Equal lists of lines; a difference is told in a few words. */
function same(found: string[], wanted: string[]): void {
  const at = wanted.findIndex((line, i) => line !== found[i]);
  const told = (line: string | undefined) => line?.replaceAll(/(.)\1{9,}/g, '$1…');
  assert.ok(at < 0, `line ${at} is ${told(found[at])}, not ${told(wanted[at])}`);
  assert.equal(found.length, wanted.length);
}

const lineOf = (step: number, what = 'x'): string =>
  `{"hash":"${what.repeat(64)}","step":${step},"weights":"${String(step).padStart(64, '0')}"}`;
const options = { numberOf: recordNumber };

/** Lives up to this number: older ones are fenced. */
async function life(folder: string, number: number): Promise<void> {
  while ((await takeGeneration(folder)) < number);
}

async function append(file: JsonlFile, from: number, until: number, what?: string): Promise<void> {
  for (let step = from; step < until; step += 1)
    await file.append(lineOf(step, what), { sync: false });
}

async function linesOf(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

const expected = (until: number, what?: string): string[] =>
  Array.from({ length: until }, (_, step) => lineOf(step, what));
const read = (path: string, from = 0) => linesOf(readNumberedLines(path, recordNumber, from));

test('closed lines are read with the same bytes, by us from any number and by zcat and cat', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 100);
  await file.closePart(60);
  await append(file, 100, 200);
  await file.closePart(150);
  same(await read(path), expected(200));
  same(await linesOf(file.lines(70)), expected(200).slice(70));
  assert.equal(file.bytes, Buffer.byteLength(await readFile(path)));
  assert.match(await readFile(path, 'utf8'), /^\{"hash":"x+","step":150,/);
  await file.close();
  const parts = (await readdir(join(folder, 'parts'))).sort();
  assert.deepEqual(parts, [
    'ledger.000000000-000000059.1.jsonl.gz',
    'ledger.000000060-000000149.1.jsonl.gz',
  ]);
  const shell = spawnSync('bash', ['-c', 'zcat parts/ledger.*; cat ledger.jsonl'], { cwd: folder });
  same(shell.stdout.toString().trimEnd().split('\n'), expected(200));
});

test('the newest line stays, appends go on meanwhile, and a later life goes on from it', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const first = await openJsonl(path, 1, options);
  await append(first, 0, 50);
  await Promise.all([first.closePart(49), append(first, 50, 80), first.closePart(70)]);
  await first.close();
  same(await read(path), expected(80));
  await life(folder, 2);
  const second = await openJsonl(path, 2, options);
  await append(second, 80, 90);
  await second.closePart(89);
  same(await read(path), expected(90));
  await second.close();
  assert.equal((await readFile(path, 'utf8')).trimEnd(), lineOf(89));
});

test('a crash between part and file leaves every line once', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 40);
  await cp(`${path}.1`, join(folder, 'whole'));
  await file.closePart(30);
  await file.close();
  // The part is there, and the file is still as it was.
  await writeFile(`${path}.1`, await readFile(join(folder, 'whole')));
  same(await read(path), expected(40));
  await life(folder, 2);
  const next = await openJsonl(path, 2, options);
  await next.closePart(35);
  same(await read(path), expected(40));
  await next.close();
});

test('what an overtaken life closes later never counts', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const old = await openJsonl(path, 1, options);
  await append(old, 0, 20, 'a');
  await old.closePart(10);
  await life(folder, 2);
  const young = await openJsonl(path, 2, options);
  await append(young, 20, 40, 'b');
  await append(old, 20, 40, 'a').catch(() => undefined);
  await assert.rejects(old.closePart(30));
  await young.closePart(30);
  const truth = [...expected(20, 'a'), ...expected(40, 'b').slice(20)];
  same(await read(path), truth);
  await young.closePart(39);
  same(await read(path), truth);
  await Promise.all([young.close(), old.close()]);
});

test('records of a wrong branch leave the parts too', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 60);
  await file.closePart(20);
  await file.closePart(40);
  const aside = join(folder, 'ledger.wrong-1.jsonl');
  await file.moveTail(25, aside);
  same((await readFile(aside, 'utf8')).trimEnd().split('\n'), expected(60).slice(25));
  await append(file, 25, 50, 'b');
  const truth = [...expected(25), ...expected(50, 'b').slice(25)];
  same(await read(path), truth);
  await file.closePart(40);
  same(await read(path), truth);
  assert.deepEqual(
    countingParts(await partsOf(path), 40).map(({ first, last }) => [first, last]),
    [
      [0, 19],
      [20, 39],
    ],
  );
  await file.close();
});

test('a wrong branch that begins where the file does leaves a file that the parts still count before', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 60);
  await file.closePart(40);
  await file.moveTail(40, join(folder, 'ledger.wrong-1.jsonl'));
  await file.close();
  same(await read(path), expected(40));
});

test('a disk that is full while a part is written costs the part, and nobody waits for it', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 20_000);
  await mkdir(partsFolder(path), { recursive: true });
  await symlink('/dev/full', join(partsFolder(path), 'ledger.1.tmp'));
  await assert.rejects(file.closePart(19_000));
  same(await read(path), expected(20_000));
  await file.closePart(19_000);
  same(await read(path), expected(20_000));
  await file.close();
});

test('a damaged part gives what it can and nothing false', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 5000);
  await file.closePart(4000);
  await file.close();
  const [part] = await partsOf(path);
  const { length } = await readFile(part?.path ?? '');
  await truncate(part?.path ?? '', length >> 1);
  const lines = await read(path);
  assert.ok(lines.length < 5000 && lines.length > 1000);
  same(lines.slice(-1000), expected(5000).slice(4000));
  const given = lines.slice(0, -1000);
  same(given, expected(given.length));
});

test('events rotate by themselves; every reader sees each number once, in order', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'events.jsonl');
  const log = await openEventLog(folder, 1, () => undefined, 20_000);
  const total = 3000;
  const over = new AbortController();
  const followed: number[] = [];
  const following = (async () => {
    for await (const { seq } of followFolder(folder, {
      since: 0,
      signal: over.signal,
      wait: true,
    })) {
      followed.push(seq);
      if (seq === total) return;
    }
  })();
  for (let seq = 1; seq <= total; seq += 1) {
    await log.append({ kind: 'warning', code: 'test', message: `event ${seq}` }, seq, 'a test');
    // Each thousand events are far more than a part's; the next ones wait until it was closed.
    const parts = seq % 1000 === 0 ? seq / 1000 : 0;
    const deadline = performance.now() + 60_000;
    while ((await partsOf(path)).length < parts && performance.now() < deadline) await sleep(10);
  }
  const all = Array.from({ length: total }, (_, i) => i + 1);
  const served: number[] = [];
  for await (const { seq } of log.after(0, over.signal)) {
    served.push(seq);
    if (seq === total) break;
  }
  assert.deepEqual(served, all);
  await following;
  assert.deepEqual(followed, all);
  over.abort();
  await log.close();
  assert.ok((await partsOf(path)).length >= 2);
  const numbers = (await linesOf(readNumberedLines(path, eventNumber))).map(eventNumber);
  assert.deepEqual(numbers, all);
  assert.equal((await summaryOf(folder)).seq, total);
  await life(folder, 2);
  const heard: number[] = [];
  const again = await openEventLog(folder, 2, ({ seq }) => heard.push(seq));
  assert.deepEqual(heard, all);
  assert.equal(again.seq, total);
  await again.close();
});

test('an older copy under the plain name is told from a file that a person put there', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'ledger.jsonl');
  const file = await openJsonl(path, 1, options);
  await append(file, 0, 30);
  const older = await readFile(path);
  await append(file, 30, 60);
  await file.closePart(40);
  await file.close();
  await rm(path);
  await writeFile(path, older);
  await life(folder, 2);
  const second = await openJsonl(path, 2, options);
  same(await read(path), expected(60));
  await second.close();
  await rm(path);
  await writeFile(path, `garbage\n${(await readFile(`${path}.2`)).toString()}`);
  await life(folder, 3);
  await (await openJsonl(path, 3, options)).close();
  assert.match(await readFile(path, 'utf8'), /^garbage\n/);
  await rm(path);
  await writeFile(path, `${expected(70, 'b').join('\n')}\n`);
  await life(folder, 4);
  const third = await openJsonl(path, 4, options);
  same(await read(path), expected(70, 'b'));
  await third.close();
});
