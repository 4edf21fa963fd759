/**
 * `data get` against a server of this process that breaks off, starts over, lies and refuses; `data
 * inspect` on folders made here.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { download } from '../../cli/download.ts';
import { safePath } from '../../cli/unpack.ts';
import { Failure } from '../../shared/core/failures.ts';
import { tarOf } from '../support/archives.ts';
import { command } from '../support/command.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const image = (red: number): Promise<Buffer> =>
  sharp({ create: { width: 40, height: 30, channels: 3, background: { r: red, g: 9, b: 9 } } })
    .jpeg()
    .toBuffer();
const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 31 + i) >> 3));
const archive = gzipSync(
  tarOf([
    { name: 'flower_photos/', data: '', type: '5' },
    { name: 'flower_photos/LICENSE.txt', data: 'read me' },
    { name: 'flower_photos/roses/1.jpg', data: await image(200) },
    { name: 'flower_photos/tulips/2.jpg', data: await image(100) },
    { name: 'flower_photos/noise.bin', data: noise },
    { name: '../../escaped.jpg', data: await image(1) },
    { name: 'flower_photos/../../escaped.jpg', data: await image(1) },
    { name: '/escaped.jpg', data: await image(1) },
    { name: 'flower_photos/link.jpg', data: '', type: '2' },
  ]),
);

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

async function server(t: TestContext, answer: Answer): Promise<string> {
  const listening = createServer(answer).listen(0, '127.0.0.1');
  t.after(() => {
    listening.closeAllConnections();
    listening.close();
  });
  await once(listening, 'listening');
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/f.tgz`;
}

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-data-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Serves ranges, as most servers do; the first `times` answers break off half way, once that half has
 * arrived in the file: what a client has not read of a broken answer it never gets.
 */
function rangeServer(
  body: Buffer,
  asked: (string | undefined)[],
  cut: { times: number; file: string } = { times: 0, file: '' },
): Answer {
  return async (request, response) => {
    asked.push(request.headers.range);
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (start >= body.length) {
      response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
      return;
    }
    const rest = body.subarray(start);
    const headers: Record<string, string | number> = { 'content-length': rest.length };
    if (start > 0) {
      headers['content-range'] = `bytes ${start}-${body.length - 1}/${body.length}`;
    }
    response.writeHead(start > 0 ? 206 : 200, headers);
    if (asked.length > cut.times) {
      response.end(rest);
      return;
    }
    const half = rest.length >> 1;
    response.write(rest.subarray(0, half));
    const arrived = () => (existsSync(cut.file) ? statSync(cut.file).size : 0);
    for (let i = 0; i < 6000 && arrived() < start + half; i += 1) await sleep(10);
    response.socket?.end();
  };
}

const get = (url: string, to: string, sha = sha256(archive)) =>
  command(['data', 'get', 'flowers', '--to', to, '--url', url, '--sha256', sha, '--json']);

test('a data set is fetched, checked and unpacked below its folder only; a second call knows it', async (t) => {
  const asked: (string | undefined)[] = [];
  const url = await server(t, rangeServer(archive, asked));
  const base = scratch(t);
  const to = join(base, 'deep', 'flowers');
  const { code, out, err } = await get(url, to);
  assert.equal(code, 0, err);
  assert.equal(JSON.parse(out).files, 4);
  assert.ok(readFileSync(join(to, 'noise.bin')).equals(noise));
  assert.deepEqual(readFileSync(join(to, 'LICENSE.txt'), 'utf8'), 'read me');
  assert.ok(!existsSync(join(to, 'link.jpg')));
  for (const way of [base, join(base, 'deep'), to, dirname(base)]) {
    assert.ok(!existsSync(join(way, 'escaped.jpg')), way);
  }
  assert.ok(!existsSync(join(to, '.tandem-flowers.part')));
  const again = await get(url, to);
  assert.equal(again.code, 0);
  assert.equal(JSON.parse(again.out).files, null);
  assert.equal(asked.length, 1);
  const inspected = await command(['data', 'inspect', to, '--json']);
  assert.deepEqual(
    JSON.parse(inspected.out).classes.map((c: { name: string }) => c.name),
    ['roses', 'tulips'],
  );
});

test('a connection that breaks is gone on with by Range, within one call and over two', async (t) => {
  const asked: (string | undefined)[] = [];
  const to = join(scratch(t), 'flowers');
  const file = join(to, '.tandem-flowers.part');
  const url = await server(t, rangeServer(archive, asked, { times: 2, file }));
  assert.equal((await get(url, to)).code, 0);
  assert.equal(asked.length, 3);
  assert.match(asked[2] ?? '', /^bytes=\d+-$/);

  const other = join(scratch(t), 'flowers');
  mkdirSync(other);
  writeFileSync(join(other, '.tandem-flowers.part'), archive.subarray(0, 1000));
  asked.length = 5;
  assert.equal((await get(url, other)).code, 0);
  assert.equal(asked.at(-1), 'bytes=1000-');
});

test('a server that ignores Range starts over; a part of another file is thrown away', async (t) => {
  const url = await server(t, (_, response) => void response.end(archive));
  const to = join(scratch(t), 'flowers');
  mkdirSync(to);
  writeFileSync(join(to, '.tandem-flowers.part'), archive.subarray(0, 1000));
  assert.equal((await get(url, to)).code, 0);

  const ranges = await server(t, rangeServer(archive, []));
  const other = join(scratch(t), 'flowers');
  mkdirSync(other);
  writeFileSync(join(other, '.tandem-flowers.part'), Buffer.alloc(2000, 7));
  assert.equal((await get(ranges, other)).code, 0);
});

test('what cannot be fetched says why, keeps what arrived, and exits by the table', async (t) => {
  const ranges = await server(t, rangeServer(archive, []));
  const missing = await server(t, (_, response) => void response.writeHead(404).end());
  const cases: [string, string, number, RegExp][] = [
    [missing, sha256(archive), 69, /answers 404 Not Found. Check --url. \(download-failed\)/],
    [ranges, '0'.repeat(64), 65, /another SHA-256 than expected: .*\(data-damaged\)/],
    [
      await server(t, rangeServer(gzipSync('no tar'), [])),
      sha256(gzipSync('no tar')),
      65,
      /damaged/,
    ],
    [await server(t, rangeServer(noise, [])), sha256(noise), 65, /does not unpack/],
  ];
  for (const [url, sha, exit, message] of cases) {
    const { code, out, err } = await get(url, join(scratch(t), 'flowers'), sha);
    assert.equal(code, exit);
    assert.match(err, message);
    assert.doesNotMatch(err, /\n\s+at /);
    assert.equal(out, '');
  }
  const full = scratch(t);
  writeFileSync(join(full, 'mine.txt'), 'mine');
  const refused = await get(ranges, full);
  assert.equal(refused.code, 64);
  assert.match(refused.err, /holds mine.txt: name another one/);
  const onFile = await get(ranges, join(full, 'mine.txt', 'below'));
  assert.equal(onFile.code, 74);
});

test('nobody listening, and one who says nothing, end in download-failed and not in a wait', async (t) => {
  const file = join(scratch(t), 'part');
  const common = { file, sha256: sha256(archive), bytesMax: 1e9, backoffMs: [1, 1] };
  const signal = new AbortController().signal;
  const refusedAs = (url: string, silenceMs: number) =>
    download({ ...common, url, silenceMs, signal }).then(
      () => assert.fail('it came'),
      (error: unknown) => {
        assert.ok(error instanceof Failure, String(error));
        assert.equal(error.code, 'download-failed');
        assert.match(error.message, /goes on from there.*--url/);
        return error.message;
      },
    );
  assert.match(await refusedAs('http://127.0.0.1:9/f', 30_000), /cannot fetch/);
  let connections = 0;
  const silent = await server(t, (_, response) => {
    connections += 1;
    response.writeHead(200, { 'content-length': archive.length });
    response.write(archive.subarray(0, 500));
  });
  assert.match(await refusedAs(silent, 100), /no byte for 100 ms/);
  assert.equal(connections, 3);
  assert.equal(readFileSync(file).length, 500);
  const long = await server(t, (_, response) => void response.end(Buffer.alloc(3000)));
  await assert.rejects(
    download({ ...common, url: long, bytesMax: 2000, signal }),
    (error: unknown) => error instanceof Failure && /longer than 2000 bytes/.test(error.message),
  );
});

test("only names below the archive's first folder are made", () => {
  assert.equal(safePath('flower_photos/roses/1.jpg'), 'roses/1.jpg');
  for (const name of ['', 'one.jpg', '/a/b', 'a/../b', 'a/./b', 'a//b', '../a', 'a/..', 'a\\b/c']) {
    assert.equal(safePath(name), null, name);
  }
});

test('inspect counts classes, sizes, what is equal, what is left out, and shows the split', async (t) => {
  const root = scratch(t);
  const put = (path: string, content: Buffer | string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  for (let i = 0; i < 8; i++) put(`a/${i}.jpg`, await image(10 * i));
  put('b/same.jpg', await image(0));
  put('b/own.jpg', await image(255));
  put('notes.txt', 'x');
  put('more.txt', 'x');
  put('cut.jpg', (await image(3)).subarray(0, 20));
  const { code, out } = await command(['data', 'inspect', root, '--validation', '0.3', '--json']);
  assert.equal(code, 0);
  const report = JSON.parse(out);
  assert.equal(report.images, 10);
  assert.deepEqual(
    report.classes.map((c: { name: string; images: number; training: number; heldOut: number }) => [
      c.name,
      c.images,
      c.training + c.heldOut,
    ]),
    [
      ['a', 8, 8],
      ['b', 2, 2],
    ],
  );
  assert.deepEqual(report.width, { least: 40, median: 40, greatest: 40 });
  assert.deepEqual(report.split, { seed: 1, share: 0.3, training: 7, heldOut: 3 });
  assert.equal(report.duplicates.acrossClasses, 1);
  assert.deepEqual(report.duplicates.examples, [['a/0.jpg', 'b/same.jpg']]);
  assert.deepEqual(
    report.leftOut.map((l: { reason: string; files: number }) => [l.reason.slice(0, 23), l.files]),
    [
      ['not an image by its nam', 2],
      ['its header does not rea', 1],
    ],
  );
  const text = (await command(['data', 'inspect', root, '--validation', '0.3'])).out;
  assert.match(text, /10 images in 2 classes/);
  assert.match(text, /\nCLASS +IMAGES +SHARE +TRAINING +HELD OUT\na +8 +80.0 %/);
  assert.match(text, /split +7 for training, 3 held out/);
  assert.match(text, /2 images share 1 content \(1 in several classes/);
  assert.match(
    text,
    /left out: 3 entries\n {2}2: not an image by its name \(more.txt, notes.txt\)/,
  );
  assert.match(text, /fingerprint [0-9a-f]{64}/);
});
