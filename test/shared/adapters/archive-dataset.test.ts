/** Archives as data: tars, TFRecords and CIFAR's files, written by other hands than read them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { sha256Of } from '../../../shared/adapters/fingerprint.ts';
import { folderDataset } from '../../../shared/adapters/folder-dataset.ts';
import { openDataset } from '../../../shared/adapters/open-dataset.ts';
import { Failure, type FailureCode } from '../../../shared/core/failures.ts';
import { syntheticImage } from '../../../shared/core/synthetic.ts';
import type { Dataset } from '../../../shared/ports/dataset.ts';
import { crc32c } from '../../../shared/wire/crc32c.ts';
import { decodeImage, pixelHash } from '../../../worker/shell/decode.ts';
import { cifarRecord, exampleOf, tarOf, tfrecordOf } from '../../support/archives.ts';
import { trainExactly } from '../../support/exact-training.ts';

const made: string[] = [];
after(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));

async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'tandem-archive-'));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

/** Photographs by path: JPEGs and PNGs of drawn flowers. */
async function photographs(count: number): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (let i = 0; i < count; i++) {
    const { pixels, width, height } = syntheticImage(1, i);
    const image = sharp(pixels, { raw: { width, height, channels: 3 } });
    const kind = ['roses', 'tulips', 'daisies'][i % 3];
    if (i % 4 === 3) files[`${kind}/${i}.png`] = await image.png().toBuffer();
    else files[`${kind}/${i}.jpg`] = await image.jpeg().toBuffer();
  }
  return files;
}
const photos = await photographs(10);
const names = Object.keys(photos);
const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = Object.values(photos);
const halves = [names.slice(0, 6), names.slice(6)];
const kinds = ['daisies', 'roses', 'tulips'];
const exampleFor = (name: string) =>
  exampleOf({
    image: photos[name]!,
    label: kinds.indexOf(dirname(name)),
    filename: name,
    height: 96,
  });

async function threeKinds(): Promise<Record<'folder' | 'tar' | 'tfrecord', string>> {
  const shard = (i: number, kind: string) => `flowers-train.${kind}-0000${i}-of-00002`;
  return {
    folder: await folderOf(photos),
    tar: await folderOf(
      Object.fromEntries(
        halves.map((half, i) => [
          `part-${i}.tar`,
          tarOf(half.map((name) => ({ name: `./${name}`, data: photos[name]! }))),
        ]),
      ),
    ),
    tfrecord: await folderOf({
      'label.labels.txt': `${kinds.join('\n')}\n`,
      'features.json': '{}',
      ...Object.fromEntries(
        halves.map((half, i) => [shard(i, 'tfrecord'), tfrecordOf(half.map(exampleFor))]),
      ),
    }),
  };
}

async function pixelHashes(data: Dataset): Promise<string[]> {
  const { samples } = await data.index();
  return Promise.all(
    samples.map(async (sample) => pixelHash(await decodeImage((await data.read(sample))!, 32))),
  );
}

async function refusal(data: Dataset, code: FailureCode): Promise<string> {
  const error = await data.index().then(
    () => assert.fail('it was indexed'),
    (found: unknown) => found,
  );
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.code, code);
  return error.message;
}

test('one set of photographs as folder, tar and TFRecord is one sample list with one fingerprint', async () => {
  const roots = await threeKinds();
  const folder = await openDataset(roots.folder).index();
  assert.equal(folder.samples.length, 10);
  const hashes = await pixelHashes(openDataset(roots.folder));
  for (const kind of ['tar', 'tfrecord'] as const) {
    const index = await openDataset(roots[kind]).index();
    assert.deepEqual(index.samples, folder.samples, kind);
    assert.equal(index.fingerprint, folder.fingerprint);
    assert.deepEqual(await pixelHashes(openDataset(roots[kind])), hashes);
    assert.deepEqual(index.shapes, folder.shapes);
  }
});

test('one set of photographs as folder, tar and TFRecord trains to one digest, fetched or not', async () => {
  const roots = await threeKinds();
  const digests: string[] = [];
  for (const [kind, workerData] of [
    ['folder', undefined],
    ['tar', undefined],
    ['tfrecord', roots.tar],
  ] as const) {
    const run = join(await folderOf({}), 'run');
    const { digest } = await trainExactly({
      options: { data: roots[kind], run },
      ...(workerData ? { workerData } : {}),
    });
    digests.push(digest);
  }
  assert.deepEqual(digests, [digests[0], digests[0], digests[0]]);
});

test('an archive is read in place, without having been indexed, and alone by its name', async () => {
  const { tar, tfrecord } = await threeKinds();
  const { samples } = await openDataset(tar).index();
  for (const sample of samples) {
    const bytes = await openDataset(tfrecord).read(sample);
    assert.ok(bytes && photos[sample.path]!.equals(bytes), sample.path);
  }
  const alone = await openDataset(join(tar, 'part-1.tar')).index();
  assert.deepEqual(
    alone.samples.map((s) => s.path),
    halves[1]!.toSorted(),
  );
  const [sample] = alone.samples;
  assert.equal(await openDataset(tar).read({ ...sample!, sha256: '0'.repeat(64) }), null);
  assert.equal(await openDataset(tar).read({ ...sample!, path: 'nowhere.jpg' }), null);
  assert.equal(await openDataset(join(tar, 'absent.tar')).read(sample!), null);
});

test('long names by PAX and by GNU, an NFD name and a system tar are read as they are', async () => {
  const long = `${'a-long-folder/'.repeat(12)}photo.jpg`;
  for (const way of ['pax', 'gnu'] as const) {
    const members = [
      { name: long, data: first },
      { name: 'e\u0301t\u00e9.jpg', data: second },
    ];
    const root = await folderOf({ 'a.tar': tarOf(members, way) });
    const { samples } = await openDataset(root).index();
    assert.deepEqual(
      samples.map((s) => s.path),
      [long, '\u00e9t\u00e9.jpg'],
    );
  }
  const root = await folderOf({ ...photos, [long]: first });
  const out = await folderOf({});
  for (const format of ['--format=pax', '--format=gnu', '--format=ustar']) {
    const args = [format, '-cf', join(out, 'system.tar'), '-C', root, '.'];
    if (spawnSync('tar', args).status !== 0) continue;
    const found = await openDataset(out).index();
    assert.equal(found.fingerprint, (await folderDataset(root).index()).fingerprint, format);
  }
});

test('a WebDataset gives the class of a stem, wherever it stands', async () => {
  const root = await folderOf({
    'a.tar': tarOf([
      { name: '0001.cls', data: '7\n' },
      { name: '0001.jpg', data: first },
      { name: '0002.jpg', data: second },
      { name: '0002.json', data: '{"label":"rose"}' },
      { name: 'x/0003.jpg', data: first },
      { name: '0004.json', data: 'no json' },
      { name: '0004.txt', data: 'a caption' },
    ]),
  });
  const { samples, leftOut } = await openDataset(root).index();
  assert.deepEqual(
    samples.map(({ path, label }) => [path, label]),
    [
      ['0001.jpg', '7'],
      ['0002.jpg', 'rose'],
      ['x/0003.jpg', 'x'],
    ],
  );
  assert.deepEqual(
    leftOut.map(({ path }) => path),
    ['0004.json', '0004.txt'],
  );
});

test('hostile members are only names, and what is no image is left out with its reason', async () => {
  const root = await folderOf({
    'a.tar': tarOf([
      { name: '../../etc/evil.jpg', data: first },
      { name: '/abs.jpg', data: first },
      { name: 'link.jpg', data: '', type: '2' },
      { name: 'device.jpg', data: '', type: '3' },
      { name: '._fork.jpg', data: first },
      { name: 'empty.jpg', data: '' },
      { name: 'text.jpg', data: 'no image' },
      { name: 'again.jpg', data: first },
      { name: 'again.jpg', data: second },
      { name: 'folder/', data: '', type: '5' },
    ]),
    'b.tar': tarOf([{ name: 'again.jpg', data: first }]),
  });
  const data = openDataset(root);
  const { samples, leftOut } = await data.index();
  assert.deepEqual(
    samples.map(({ path, label }) => [path, label]),
    [
      ['../../etc/evil.jpg', null],
      ['/abs.jpg', null],
      ['a.tar#8', null],
      ['again.jpg', null],
      ['b.tar#0', null],
    ],
  );
  assert.equal(samples[2]!.sha256, sha256Of(second));
  assert.ok((await data.read(samples[0]!))!.length > 0);
  assert.deepEqual(
    leftOut.map(({ path, reason }) => `${path}: ${reason}`),
    [
      '._fork.jpg: hidden',
      'device.jpg: neither a file nor a folder',
      'empty.jpg: an empty file',
      'link.jpg: neither a file nor a folder',
      'text.jpg: its first bytes are not those of a JPEG, PNG, WebP or GIF image',
    ],
  );
});

test('an archive that breaks its format stops the indexing and says at which byte', async () => {
  const tar = tarOf([
    { name: 'a.jpg', data: first },
    { name: 'b.jpg', data: second },
  ]);
  const records = tfrecordOf(names.slice(0, 2).map(exampleFor));
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = copy[at]! ^ 1;
    return copy;
  };
  const endless = tarOf([{ name: 'a.jpg', data: '', size: 0o77777777777 }]);
  const cases: [string, Buffer, RegExp][] = [
    ['cut.tar', tar.subarray(0, 700), /damaged at byte 0: a member of \d+ bytes, and 188 are left/],
    ['cut-header.tar', tar.subarray(0, 300), /300 bytes where a header has 512/],
    ['flipped.tar', flipped(tar, 3), /damaged at byte 0: a header whose checksum fails/],
    ['endless.tar', endless, /a member of 8589934591 bytes/],
    ['gzip.tar', Buffer.concat([Buffer.from([0x1f, 0x8b]), tar]), /gunzip it first/],
    [
      'pax.tar',
      tarOf([{ name: 'p', data: '99 path=x\n', type: 'x' }]),
      /PAX record without its length/,
    ],
    ['cut.tfrecord', records.subarray(0, records.length - 9), /ends within a record/],
    ['cut-head.tfrecord', records.subarray(0, 9), /ends within a record/],
    ['length.tfrecord', flipped(records, 2), /byte 0: a record's length whose checksum fails/],
    ['data.tfrecord', flipped(records, 500), /byte 12: a record whose checksum fails/],
    ['train.bin', Buffer.alloc(3075), /expected whole CIFAR records of 3074 bytes, found 3075/],
    ['data_batch_1.bin', Buffer.alloc(0), /expected whole CIFAR records of 3073 bytes/],
  ];
  for (const [name, bytes, expected] of cases) {
    const message = await refusal(openDataset(await folderOf({ [name]: bytes })), 'data-damaged');
    assert.match(message, expected, name);
    assert.match(message, /Fetch it again/);
  }
});

test('records that are no image are left out; archives without any say what was found', async () => {
  const root = await folderOf({
    'a.tfrecord': tfrecordOf([
      exampleOf({ image: first, label: 3 }),
      exampleOf({ label: 1 }),
      Buffer.from([0xff, 0xff, 0xff]),
      exampleOf({ 'image/encoded': second, 'image/class/text': 'rose' }),
    ]),
  });
  const { samples, leftOut } = await openDataset(root).index();
  assert.deepEqual(
    samples.map(({ path, label }) => [path, label]),
    [
      ['a.tfrecord#0', '3'],
      ['a.tfrecord#3', 'rose'],
    ],
  );
  assert.match(leftOut.map((l) => l.reason).join(), /no field "image".*not a tf.Example/);
  const none = await folderOf({ 'a.tar': tarOf([{ name: 'a.txt', data: 'x' }]) });
  assert.match(
    await refusal(openDataset(none), 'data-empty'),
    /a.txt \(not an image by its name\)/,
  );
  const packed = await folderOf({ 'photos.tar.gz': 'x' });
  assert.match(await refusal(openDataset(packed), 'data-empty'), /unpack it/);
});

test("CIFAR's binary files: classes by name, the test split apart, pixels kept", async () => {
  const rgb = (seed: number) =>
    Buffer.from(Array.from({ length: 3072 }, (_, i) => (i * seed) % 251));
  const root = await folderOf({
    'data_batch_1.bin': Buffer.concat([cifarRecord([1], rgb(3)), cifarRecord([0], rgb(5))]),
    'data_batch_2.bin': cifarRecord([9], rgb(7)),
    'test_batch.bin': cifarRecord([1], rgb(11)),
    'batches.meta.txt': 'airplane\nautomobile\n\n',
  });
  const data = openDataset(root);
  const { samples, leftOut, shapes } = await data.index();
  assert.deepEqual(
    samples.map(({ path, label }) => [path, label]),
    [
      ['data_batch_1.bin#0', 'automobile'],
      ['data_batch_1.bin#1', 'airplane'],
      ['data_batch_2.bin#0', '9'],
    ],
  );
  assert.match(leftOut.find((l) => l.path === 'test_batch.bin')!.reason, /a test split/);
  assert.deepEqual([...shapes!.subarray(0, 2)], [32, 32]);
  const image = await decodeImage((await data.read(samples[0]!))!, 32);
  assert.ok(rgb(3).equals(image.pixels));
  const held = await openDataset(join(root, 'test_batch.bin')).index();
  assert.deepEqual(
    held.samples.map((s) => s.label),
    ['automobile'],
  );
  const hundred = await folderOf({
    'train.bin': cifarRecord([2, 1], rgb(3)),
    'fine_label_names.txt': 'apple\naquarium_fish\n',
  });
  assert.equal((await openDataset(hundred).index()).samples[0]!.label, 'aquarium_fish');
});

test('archives beside loose images are left out, and a link out of the folder is not followed', async () => {
  const root = await folderOf({ 'deep/er/a.jpg': first, 'backup.tar': tarOf([]) });
  const { samples, leftOut } = await openDataset(root).index();
  assert.deepEqual([samples[0]!.path, leftOut[0]!.path], ['deep/er/a.jpg', 'backup.tar']);
  const outside = await folderOf({ 'secret.tar': tarOf([{ name: 'a.jpg', data: first }]) });
  const linked = await folderOf({ 'b.tar': tarOf([{ name: 'b.jpg', data: first }]) });
  await symlink(join(outside, 'secret.tar'), join(linked, 'a.tar'));
  const found = await openDataset(linked).index();
  assert.deepEqual(
    found.samples.map((s) => s.path),
    ['b.jpg'],
  );
  assert.match(found.leftOut[0]!.reason, /leads out of the folder/);
});

test('an index is kept by size and time: what changed is looked at again, the rest is not', async () => {
  const many: Record<string, Uint8Array> = {};
  for (let i = 0; i < 220; i++) many[`${i}.jpg`] = first;
  const cache = await folderOf({});
  const roots = {
    folder: await folderOf(many),
    tar: await folderOf({
      'a.tar': tarOf(Object.entries(many).map(([name, data]) => ({ name, data }))),
    }),
  };
  // Files that were written a moment ago are not kept: these are old.
  for (const name of Object.keys(many)) await utimes(join(roots.folder, name), 1e9, 1e9);
  await utimes(join(roots.tar, 'a.tar'), 1e9, 1e9);
  for (const root of Object.values(roots)) {
    const before = await openDataset(root, cache).index();
    assert.deepEqual(await openDataset(root, cache).index(), before);
  }
  // That the cache was asked shows where it lies.
  for (const name of await readdir(cache)) {
    const text = await readFile(join(cache, name), 'utf8');
    await writeFile(join(cache, name), text.replaceAll(sha256Of(first), 'f'.repeat(64)));
  }
  for (const root of Object.values(roots)) {
    const told = await openDataset(root, cache).index();
    assert.equal(told.samples[9]!.sha256, 'f'.repeat(64));
    assert.equal(await openDataset(root, cache).read(told.samples[9]!), null);
  }
  await writeFile(join(roots.folder, '7.jpg'), second);
  const changed = await openDataset(roots.folder, cache).index();
  assert.equal(changed.samples.find((s) => s.path === '7.jpg')!.sha256, sha256Of(second));
  await writeFile(join(roots.tar, 'a.tar'), tarOf([{ name: 'one.jpg', data: second }]));
  assert.deepEqual((await openDataset(roots.tar, cache).index()).samples.length, 1);
  await utimes(join(roots.folder, '8.jpg'), new Date(), new Date());
  assert.equal((await openDataset(roots.folder, cache).index()).samples.length, 220);
});

test('the checksum of TFRecords is CRC-32C', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
});
