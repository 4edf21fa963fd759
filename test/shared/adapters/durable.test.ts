/** Files replaced as a whole. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFile, replaceFile, syncFolder } from '../../../shared/adapters/durable.ts';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-durable-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('a file is made, then replaced, and nothing else is left', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'x.json');
  await replaceFile(path, 'long old text');
  await replaceFile(path, 'new');
  assert.equal(await readFile(path, 'utf8'), 'new');
  assert.deepEqual(await readdir(folder), ['x.json']);
});

test('writers of one file at a time leave the text of one of them, whole', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'loss.svg');
  const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000 + i));
  await Promise.all(texts.map((text) => replaceFile(path, text)));
  assert.ok(texts.includes(await readFile(path, 'utf8')));
  assert.deepEqual(await readdir(folder), ['loss.svg']);
});

test('a reader sees the old bytes or the new ones, never a part', async (t) => {
  const path = join(await folderOf(t), 'x');
  const texts = ['a'.repeat(200_000), 'b'.repeat(100_000)];
  await replaceFile(path, texts[0] as string);
  let writing = true;
  const reader = (async () => {
    for (let reads = 0; writing; reads += 1)
      assert.ok(texts.includes(await readFile(path, 'utf8')), `read ${reads}`);
  })();
  for (let i = 0; i < 20; i += 1) await replaceFile(path, texts[i % 2] as string);
  writing = false;
  await reader;
});

test('a folder that is not there is an error with its name', async (t) => {
  const missing = join(await folderOf(t), 'nowhere');
  await assert.rejects(replaceFile(join(missing, 'x'), ''), /nowhere/);
  await assert.rejects(syncFolder(missing), /nowhere/);
});

test('where the last look forbids it, the file stays as it is and nothing is left over', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'x');
  await replaceFile(path, 'old');
  const forbidden = () => Promise.reject(new Error('overtaken'));
  await assert.rejects(replaceFile(path, 'new', forbidden), /overtaken/);
  assert.equal(await readFile(path, 'utf8'), 'old');
  assert.deepEqual(await readdir(folder), ['x']);
});

test('a file that must be new is made once, and whoever comes later changes nothing', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'x');
  const made = await Promise.all(['a', 'b', 'c'].map((text) => createFile(path, text)));
  assert.equal(made.filter(Boolean).length, 1);
  const text = await readFile(path, 'utf8');
  assert.equal(await createFile(path, 'later'), false);
  assert.equal(await readFile(path, 'utf8'), text);
  assert.deepEqual(await readdir(folder), ['x']);
});
