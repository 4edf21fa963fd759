/** A folder of images as it is found in the world: real files of every kind, made here. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { fingerprintOf, sha256Of } from '../../../shared/adapters/fingerprint.ts';
import { folderDataset } from '../../../shared/adapters/folder-dataset.ts';
import { syntheticImage } from '../../../shared/core/synthetic.ts';

const made: string[] = [];
after(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));

/** A folder with these files; the path's folders are made. */
async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'tandem-folder-'));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

const flat = (red: number): Sharp =>
  sharp({ create: { width: 8, height: 6, channels: 3, background: { r: red, g: 90, b: 30 } } });
const jpeg = await flat(200).jpeg().toBuffer();
const png = await flat(100).png().toBuffer();
const webp = await flat(50).webp().toBuffer();
const photograph = await sharp(syntheticImage(1, 0).pixels, {
  raw: { width: 96, height: 96, channels: 3 },
})
  .jpeg()
  .toBuffer();
const gif = await flat(20).gif().toBuffer();

test('images are listed in bytewise order of their paths, with class, size and hash', async () => {
  const root = await folderOf({
    'b/2.PNG': png,
    'b/10.jpeg': jpeg,
    'B/1.webp': webp,
    'é/1.gif': gif,
    'z.jpg': jpeg,
  });
  const { samples, leftOut, fingerprint } = await folderDataset(root).index();
  assert.deepEqual(
    samples.map(({ index, path, label }) => [index, path, label]),
    [
      [0, 'B/1.webp', 'B'],
      [1, 'b/10.jpeg', 'b'],
      [2, 'b/2.PNG', 'b'],
      [3, 'z.jpg', null],
      [4, 'é/1.gif', 'é'],
    ],
  );
  assert.equal(samples[2]!.sha256, sha256Of(png));
  assert.equal(samples[2]!.bytes, png.length);
  assert.deepEqual(leftOut, []);
  assert.equal(fingerprint, fingerprintOf(samples));
});

test('two equal files are two samples', async () => {
  const { samples } = await folderDataset(await folderOf({ 'a.jpg': jpeg, 'b.jpg': jpeg })).index();
  assert.equal(samples.length, 2);
});

test('what is no usable image is left out, each with its reason', async () => {
  const root = await folderOf({
    'good.jpg': jpeg,
    'png-in-disguise.jpg': png,
    'cut-pixels.jpg': photograph.subarray(0, photograph.length >> 1),
    '.hidden.jpg': jpeg,
    '.git/a.jpg': jpeg,
    'notes.txt': 'hello',
    'empty.jpg': '',
    'text.png': 'not an image at all',
    'drawing.png': '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
    'cut-header.png': png.subarray(0, 14),
    'cut-header.jpg': jpeg.subarray(0, 30),
  });
  const { samples, leftOut } = await folderDataset(root).index();
  // A cut in the pixels shows itself only when they are decoded.
  assert.deepEqual(
    samples.map((s) => s.path),
    ['cut-pixels.jpg', 'good.jpg', 'png-in-disguise.jpg'],
  );
  const reasons = Object.fromEntries(leftOut.map(({ path, reason }) => [path, reason]));
  assert.deepEqual(Object.keys(reasons), [
    '.git',
    '.hidden.jpg',
    'cut-header.jpg',
    'cut-header.png',
    'drawing.png',
    'empty.jpg',
    'notes.txt',
    'text.png',
  ]);
  assert.equal(reasons['.git'], 'hidden');
  assert.match(reasons['cut-header.jpg']!, /header does not read as jpeg/);
  assert.match(reasons['cut-header.png']!, /header does not read as png/);
  assert.match(reasons['drawing.png']!, /first bytes are not those/);
  assert.equal(reasons['empty.jpg'], 'an empty file');
  assert.equal(reasons['notes.txt'], 'not an image by its name');
  assert.ok(
    Object.values(reasons).every((reason) => !reason.includes('\n') && !reason.includes(root)),
  );
});

test('a header that announces more than 100 megapixels is left out without decoding', async () => {
  const huge = Buffer.from(png);
  huge.writeUInt32BE(20_000, 16);
  huge.writeUInt32BE(20_000, 20);
  // The header's checksum must hold: CRC-32 over type and data of the first chunk.
  huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29);
  const { leftOut } = await folderDataset(await folderOf({ 'a.png': huge, 'b.png': png })).index();
  assert.deepEqual(leftOut, [
    { path: 'a.png', reason: '20000 × 20000 pixels, more than 100000000' },
  ]);
});

test('symbolic links are followed inside the folder and never out of it', async () => {
  const outside = await folderOf({ 'secret.jpg': jpeg });
  const root = await folderOf({ 'roses/1.jpg': jpeg });
  await symlink(join(root, 'roses/1.jpg'), join(root, 'roses/again.jpg'));
  await symlink(join(root, 'roses'), join(root, 'tulips'));
  await symlink(join(outside, 'secret.jpg'), join(root, 'out.jpg'));
  await symlink(outside, join(root, 'outside'));
  await symlink(root, join(root, 'roses/up'));
  await symlink('nowhere', join(root, 'broken.jpg'));
  const data = folderDataset(root);
  const { samples, leftOut } = await data.index();
  assert.deepEqual(
    samples.map((s) => s.path),
    ['roses/1.jpg', 'roses/again.jpg', 'tulips/1.jpg', 'tulips/again.jpg'],
  );
  assert.deepEqual(
    leftOut.map(({ path, reason }) => `${path}: ${reason}`),
    [
      'broken.jpg: a symbolic link to nothing',
      'out.jpg: a symbolic link that leads out of the folder',
      'outside: a symbolic link that leads out of the folder',
      'roses/up: a symbolic link to a folder above it',
      'tulips/up: a symbolic link to a folder above it',
    ],
  );
  const asked = { ...samples[0]!, path: 'out.jpg' };
  assert.equal(await data.read(asked), null);
  assert.equal(await data.read({ ...asked, path: 'outside/secret.jpg' }), null);
});

test('a folder that is itself a symbolic link is read', async () => {
  const root = await folderOf({ 'a.jpg': jpeg });
  const link = `${root}-link`;
  await symlink(root, link);
  made.push(link);
  const data = folderDataset(link);
  const { samples } = await data.index();
  assert.deepEqual(await data.read(samples[0]!), jpeg);
});

test('a name stored as NFD is listed as NFC and read, indexed before or not', async () => {
  const nfd = 'fleur-e\u0301te\u0301/pre\u0301.jpg';
  const root = await folderOf({ [nfd]: jpeg });
  const data = folderDataset(root);
  const { samples } = await data.index();
  assert.equal(samples[0]!.path, nfd.normalize('NFC'));
  assert.equal(samples[0]!.label, 'fleur-été');
  assert.deepEqual(await data.read(samples[0]!), jpeg);
  assert.deepEqual(await folderDataset(root).read(samples[0]!), jpeg);
});

test('of two names equal in NFC one is a sample and the other is listed', async () => {
  const root = await folderOf({ 'e\u0301.jpg': jpeg, 'é.jpg': png });
  const data = folderDataset(root);
  const { samples, leftOut } = await data.index();
  assert.deepEqual(leftOut, [
    { path: 'é.jpg', reason: 'the same name as another file, in another Unicode form' },
  ]);
  assert.deepEqual(await folderDataset(root).read(samples[0]!), await data.read(samples[0]!));
});

test('a name that is not UTF-8 is left out, not misread', async () => {
  const root = await folderOf({ 'a.jpg': jpeg });
  await writeFile(
    Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff]), Buffer.from('.jpg')]),
    jpeg,
  );
  const { samples, leftOut } = await folderDataset(root).index();
  assert.equal(samples.length, 1);
  assert.equal(leftOut[0]!.reason, 'its name is not UTF-8');
});

test('a file that changed, went or leads upwards is not the sample', async () => {
  const root = await folderOf({ 'a.jpg': jpeg, 'b.jpg': jpeg });
  const data = folderDataset(root);
  const [a, b] = (await data.index()).samples;
  const changed = Buffer.from(jpeg);
  changed[40]! ^= 1;
  await writeFile(join(root, 'a.jpg'), changed);
  await unlink(join(root, 'b.jpg'));
  assert.equal(await data.read(a!), null);
  assert.equal(await data.read(b!), null);
  for (const path of ['../x.jpg', '/etc/passwd', 'a/../a.jpg', '', 'a.jpg/', './a.jpg']) {
    assert.equal(await data.read({ ...a!, path }), null, path);
  }
});

test('a missing folder, a file, an empty folder and one without images each say what to do', async () => {
  const root = await folderOf({ 'notes/a.txt': 'x' });
  await mkdir(join(root, 'empty'));
  const failing = (path: string): Promise<unknown> => folderDataset(join(root, path)).index();
  await assert.rejects(failing('nowhere'), {
    code: 'data-missing',
    message: /nothing there.*--data/,
  });
  await assert.rejects(failing('notes/a.txt'), { code: 'data-missing', message: /found a file/ });
  await assert.rejects(failing('empty'), {
    code: 'data-empty',
    message: /an empty folder.*--data/,
  });
  await assert.rejects(failing('notes'), {
    code: 'data-empty',
    message: /1 entry: a.txt \(not an image by its name\)/,
  });
});

test('progress counts every file once, and an abort stops the work', async () => {
  const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}.jpg`, jpeg]));
  const root = await folderOf(files);
  const seen: number[] = [];
  await folderDataset(root).index(({ done, total }) => {
    assert.equal(total, 40);
    seen.push(done);
  });
  assert.deepEqual(
    seen,
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  const abort = new AbortController();
  let after = 0;
  const indexing = folderDataset(root).index(() => {
    abort.abort();
    after++;
  }, abort.signal);
  await assert.rejects(indexing, { code: 'interrupted' });
  assert.ok(after <= 8, `${after} files after the abort`);
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
