/** The fingerprint's bytes and the order of paths. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { comparePaths, fingerprintOf } from '../../../shared/adapters/fingerprint.ts';

test('a fingerprint is the hash of path, zero byte and file hash of each sample in turn', () => {
  const samples = [
    { path: 'ä/1.jpg', sha256: '01'.repeat(32) },
    { path: 'b.png', sha256: 'fe'.repeat(32) },
  ];
  const bytes = Buffer.concat([
    Buffer.from('ä/1.jpg\0', 'utf8'),
    Buffer.alloc(32, 0x01),
    Buffer.from('b.png\0', 'utf8'),
    Buffer.alloc(32, 0xfe),
  ]);
  assert.equal(fingerprintOf(samples), createHash('sha256').update(bytes).digest('hex'));
});

test('order, a path and a file hash each change the fingerprint', () => {
  const a = { path: 'a', sha256: '00'.repeat(32) };
  const b = { path: 'b', sha256: '00'.repeat(32) };
  const all = [
    [a, b],
    [b, a],
    [a],
    [a, { ...b, path: 'c' }],
    [a, { ...b, sha256: '01'.repeat(32) }],
  ];
  assert.equal(new Set(all.map(fingerprintOf)).size, all.length);
});

test('paths stand in the order of their UTF-8 bytes', () => {
  const units = [
    'a',
    'A',
    '/',
    '.',
    'é',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{1f33b}',
    '\u{10ffff}',
  ];
  const paths = ['', ...units.flatMap((x) => [x, ...units.map((y) => x + y)])];
  for (const a of paths) {
    for (const b of paths) {
      const expected = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.equal(Math.sign(comparePaths(a, b)), expected, JSON.stringify([a, b]));
    }
  }
});
