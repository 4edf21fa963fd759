/** Which memory of a gradient is handed out again, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { payloadPool } from '../../../worker/shell/payload-pool.ts';

test('what nobody has seen is used again at once', () => {
  const pool = payloadPool(3);
  const first = pool.take();
  assert.equal(first.length, 3);
  assert.ok(first.buffer instanceof SharedArrayBuffer, 'both threads see it');
  assert.notEqual(pool.take(), first);
  pool.give(first);
  assert.equal(pool.take(), first);
});

test('what was offered is left alone until the step that follows is over', () => {
  const pool = payloadPool(3);
  const offered = pool.take();
  pool.rest(offered);
  pool.turn(); // its own step
  assert.notEqual(pool.take(), offered);
  pool.turn(); // the step that follows
  assert.equal(pool.take(), offered);
  pool.turn();
  assert.notEqual(pool.take(), offered, 'it is handed out once');
});

test('memory of others is not kept: not shared, or of another model', () => {
  const pool = payloadPool(3);
  const shared = new Float32Array(new SharedArrayBuffer(16));
  const others: Float32Array[] = [new Float32Array(3), shared];
  for (const other of others) pool.give(other);
  assert.ok(!others.includes(pool.take()));
});

test('no more is kept than a lease can need', () => {
  const pool = payloadPool(3);
  const made = Array.from({ length: 20 }, () => pool.take());
  for (const payload of made) pool.give(payload);
  const again = made.map(() => pool.take());
  assert.equal(again.filter((payload) => made.includes(payload)).length, 8);
});
