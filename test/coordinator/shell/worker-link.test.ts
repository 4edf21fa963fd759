/** A worker as the coordinator holds it: what it pulls, and what it makes of odd answers. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { WorkerGone } from '../../../coordinator/shell/reducer.ts';
import {
  type ControlStream,
  type GradientStream,
  WorkerLink,
} from '../../../coordinator/shell/worker-link.ts';
import { bucketCredit } from '../../../shared/wire/limits.ts';
import type { BucketMessage, BucketWish } from '../../../shared/wire/messages.ts';

/** The server's end of a stream: what is written to it, and what the peer sends. */
function line<T>(): { stream: Duplex; written: T[]; receive(message: unknown): void } {
  const written: T[] = [];
  const stream = new Duplex({
    objectMode: true,
    read() {},
    write(message: T, _encoding, done) {
      written.push(message);
      done();
    },
  });
  return { stream, written, receive: (message) => stream.push(message) };
}

function linked() {
  const control = line<object>();
  const gradients = line<BucketWish>();
  const link = new WorkerLink('w', control.stream as unknown as ControlStream);
  link.attachGradients(gradients.stream as unknown as GradientStream);
  return { link, control, gradients };
}

const node = { level: 1, index: 0 };
const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const bucket = (some: Partial<BucketMessage> = {}): BucketMessage => ({
  step: 4,
  ...node,
  bucket: 0,
  data,
  crc32: crc32(some.data ?? data),
  ...some,
});

const gone = (hostile: boolean, reason: RegExp) => (error: unknown) => {
  assert.ok(error instanceof WorkerGone);
  assert.equal(error.hostile, hostile, error.message);
  assert.match(error.message, reason);
  return true;
};

test('wishes are answered in their order', async () => {
  const { link, gradients } = linked();
  const first = link.pull(4, node, 0, 2);
  const second = link.pull(4, node, 1, 2);
  assert.deepEqual(
    gradients.written.map((wish) => wish.bucket),
    [0, 1],
  );
  const other = Uint8Array.from(data).fill(9);
  gradients.receive(bucket());
  gradients.receive(bucket({ bucket: 1, data: other }));
  assert.deepEqual(await first, data);
  assert.deepEqual(await second, other);
});

test('wishes wait for a gradient stream that comes behind the control stream, not for a second one', async () => {
  const control = line<object>();
  const gradients = line<BucketWish>();
  const link = new WorkerLink('w', control.stream as unknown as ControlStream);
  const [first, second] = [link.pull(4, node, 0, 2), link.pull(4, node, 1, 2)];
  link.attachGradients(gradients.stream as unknown as GradientStream);
  assert.deepEqual(
    gradients.written.map((wish) => wish.bucket),
    [0, 1],
  );
  gradients.receive(bucket());
  gradients.receive(bucket({ bucket: 1 }));
  assert.deepEqual(await Promise.all([first, second]), [data, data]);
  gradients.stream.destroy();
  await turn();
  await assert.rejects(link.pull(4, node, 2, 2), gone(false, /has no gradient stream/));
  link.close('it left');
  const other = new WorkerLink('v', line<object>().stream as unknown as ControlStream);
  const waiting = other.pull(4, node, 0, 2);
  other.close('it left');
  await assert.rejects(waiting, gone(false, /it left/));
});

test('a bucket of another shape, place or checksum is hostile, and takes the later wishes along', async () => {
  for (const [odd, reason] of [
    [{ data: data.subarray(0, 4) }, /has 4 bytes where this model has 8/],
    [{ data: new Uint8Array(12) }, /has 12 bytes/],
    [{ bucket: 1 }, /sent bucket 1 .* where bucket 0/],
    [{ step: 3 }, /was due/],
    [{ index: 1 }, /was due/],
    [{ crc32: 1 }, /checksum/],
  ] as const) {
    const { link, gradients } = linked();
    const first = link.pull(4, node, 0, 2);
    const second = link.pull(4, node, 1, 2);
    gradients.receive(bucket(odd));
    await assert.rejects(first, gone(true, reason));
    await assert.rejects(second, gone(true, reason));
  }
});

test('answers to wishes that were given up are dropped; one more is what nobody asked for', async () => {
  const { link, gradients } = linked();
  const told: string[] = [];
  link.onHostile = (reason) => told.push(reason);
  const wishes = [0, 1, 2].map((at) => link.pull(4, node, at, 2));
  gradients.receive(bucket({ data: data.subarray(4) }));
  for (const wish of wishes)
    await assert.rejects(wish, gone(true, /4 bytes where this model has 8/));
  gradients.receive(bucket({ bucket: 1 }));
  gradients.receive(bucket({ bucket: 2 }));
  await turn();
  assert.deepEqual(told, []);
  gradients.receive(bucket({ bucket: 3 }));
  await turn();
  assert.deepEqual(told, ['it sent a bucket that nobody asked for']);
});

test('a late answer to a wish that was given up is not taken for one to the next wish', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { link, gradients } = linked();
  const late = link.pull(4, node, 7, 2);
  t.mock.timers.tick(60_000);
  await assert.rejects(late, gone(false, /no bucket of its gradient came/));
  const next = link.pull(4, node, 8, 2);
  gradients.receive(bucket({ bucket: 7, data: Uint8Array.from(data).fill(7) }));
  gradients.receive(bucket({ bucket: 8 }));
  assert.deepEqual(await next, data);
});

test('a stream that ends takes every wish along, and that is not hostile', async () => {
  const { link, gradients } = linked();
  const wish = link.pull(4, node, 0, 2);
  gradients.receive(null);
  await assert.rejects(wish, gone(false, /stream ended/));
  await assert.rejects(link.pull(4, node, 0, 2), gone(false, /no gradient stream/));
});

test('a closed link answers every wish with the reason', async () => {
  const { link } = linked();
  const wish = link.pull(4, node, 0, 2);
  link.close('not heard for 15 s');
  await assert.rejects(wish, gone(false, /not heard/));
  await assert.rejects(link.pull(4, node, 0, 2), gone(false, /not heard/));
});

test('a worker that does not answer costs itself, not the run', async () => {
  const { link } = linked();
  const wishes = Array.from({ length: 2 * bucketCredit + 5 }, (_, i) => link.pull(4, node, i, 2));
  const last = wishes.pop();
  for (const wish of wishes) wish.catch(() => undefined);
  await assert.rejects(last as Promise<Uint8Array>, gone(false, /does not send/));
});

test('a gradient stream opened anew drops what the old one owed', async () => {
  const { link, gradients } = linked();
  const owed = link.pull(4, node, 0, 2);
  const fresh = line<BucketWish>();
  link.attachGradients(fresh.stream as unknown as GradientStream);
  await assert.rejects(owed, gone(false, /anew/));
  const wish = link.pull(4, node, 1, 2);
  gradients.receive(bucket());
  await turn();
  fresh.receive(bucket({ bucket: 1 }));
  assert.deepEqual(await wish, data, 'the old stream has no say any more');
});

test('a worker that does not read its control stream is given up', async () => {
  const stream = new Duplex({ objectMode: true, read() {}, write() {} });
  const link = new WorkerLink('w', stream as unknown as ControlStream);
  for (let i = 0; i < 1100; i += 1) link.send({ admitted: { identity: '' } });
  assert.ok(stream.writableLength < 1100);
  await assert.rejects(link.pull(4, node, 0, 2), gone(false, /does not read/));
});
