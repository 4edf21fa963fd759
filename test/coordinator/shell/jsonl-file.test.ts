/** Append-only files that belong to one life of a coordinator. */
import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openJsonl } from '../../../coordinator/shell/jsonl-file.ts';
import { readLines } from '../../../coordinator/shell/jsonl-lines.ts';
import { takeGeneration } from '../../../coordinator/shell/run-folder.ts';
import { Failure } from '../../../shared/core/failures.ts';
import { runFolder } from '../../support/tiny-run.ts';

async function linesOf(path: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(path)) lines.push(line);
  return lines;
}

const place = async (t: TestContext) => join(await runFolder(t), 'x.jsonl');

test('lines come back in the order of the appends, over two lives', async (t) => {
  const path = await place(t);
  const first = await openJsonl(path, 1);
  await Promise.all([
    first.append('{"a":1}', { sync: true }),
    first.append('{"a":2}', { sync: false }),
  ]);
  await first.close();
  const second = await openJsonl(path, 2);
  await second.append('{"a":3}', { sync: true });
  assert.deepEqual(await linesOf(path), ['{"a":1}', '{"a":2}', '{"a":3}']);
  await second.close();
});

test('a file that is not there has no lines', async (t) => {
  assert.deepEqual(await linesOf(await place(t)), []);
});

test('what an older generation still appends is seen by nobody', async (t) => {
  const path = await place(t);
  const old = await openJsonl(path, 1);
  await old.append('old', { sync: true });
  const young = await openJsonl(path, 2);
  await old.append('ghost', { sync: true });
  await young.append('young', { sync: true });
  await old.append('ghost again', { sync: true });
  assert.deepEqual(await linesOf(path), ['old', 'young']);
  await old.close();
  await young.close();
  assert.equal(await readFile(path, 'utf8'), 'old\nyoung\n');
});

test('an older generation that comes late does not take the file from a newer one', async (t) => {
  const folder = await runFolder(t);
  const path = join(folder, 'x.jsonl');
  const old = await takeGeneration(folder);
  const young = await takeGeneration(folder);
  const file = await openJsonl(path, young);
  await file.append('young', { sync: true });
  await assert.rejects(openJsonl(path, old), (error: unknown) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.code, 'fenced');
    return true;
  });
  await file.append('young again', { sync: true });
  assert.deepEqual(await linesOf(path), ['young', 'young again']);
  assert.ok((await readdir(folder)).every((name) => !name.endsWith('.tmp')));
  await file.close();
});

test('a torn last line is cut, whatever its length', async (t) => {
  for (const torn of ['{"b', 'x'.repeat(3_000_000)]) {
    const path = await place(t);
    await writeFile(path, `{"a":1}\n${torn}`);
    const file = await openJsonl(path, 1);
    await file.append('{"a":2}', { sync: true });
    await file.close();
    assert.equal(await readFile(path, 'utf8'), '{"a":1}\n{"a":2}\n');
  }
});

test('a file without one whole line becomes empty', async (t) => {
  const path = await place(t);
  await writeFile(path, 'never ended');
  const file = await openJsonl(path, 1);
  await file.close();
  assert.equal(await readFile(path, 'utf8'), '');
});

test('lines longer than the copy buffer survive a takeover', async (t) => {
  const path = await place(t);
  const long = 'y'.repeat(2_500_000);
  await writeFile(path, `a\n${long}\n${long}z\n`);
  const file = await openJsonl(path, 1);
  await file.append('end', { sync: false });
  await file.close();
  assert.deepEqual(await linesOf(path), ['a', long, `${long}z`, 'end']);
});

test('a line being written is not read yet', async (t) => {
  const path = await place(t);
  await writeFile(path, 'one\ntw');
  assert.deepEqual(await linesOf(path), ['one']);
  await appendFile(path, 'o\n');
  assert.deepEqual(await linesOf(path), ['one', 'two']);
});

test('only a newline ends a line', async (t) => {
  const path = await place(t);
  const odd = JSON.stringify({ reason: 'a\u2028b\u2029c\u0085d\ud83c\udf37' });
  const file = await openJsonl(path, 1);
  await file.append(odd, { sync: false });
  await file.append('é'.repeat(100_000), { sync: false });
  await file.close();
  assert.deepEqual(await linesOf(path), [odd, 'é'.repeat(100_000)]);
});

test('the plain name is the newest generation’s, whose lines nobody writes over', async (t) => {
  const path = await place(t);
  const folder = dirname(path);
  await (await openJsonl(path, 1)).append('{"a":1}', { sync: true });
  const second = await openJsonl(path, 2);
  await second.append('{"a":2}', { sync: true });
  // What a coordinator does that stood still since before the second one: its copy, and its name.
  await writeFile(`${path}.1`, '{"a":1}\n');
  await writeFile(`${path}.stale`, '{"a":1}\n');
  await rename(`${path}.stale`, path);
  assert.deepEqual(await linesOf(second.path), ['{"a":1}', '{"a":2}']);
  const third = await openJsonl(path, 3);
  assert.deepEqual(await linesOf(path), ['{"a":1}', '{"a":2}']);
  const names = (await readdir(folder)).filter((name) => name.startsWith('x.jsonl'));
  assert.deepEqual(names.sort(), ['x.jsonl', 'x.jsonl.3']);
  // What a person does who puts another file there.
  await writeFile(`${path}.other`, '{"b":1}\n');
  await rename(`${path}.other`, path);
  await (await openJsonl(path, 4)).close();
  assert.deepEqual(await linesOf(path), ['{"b":1}']);
  await second.close();
  await third.close();
});
