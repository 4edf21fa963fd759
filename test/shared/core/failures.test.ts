/** Failures: one table, and what an unknown error becomes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFailure, Failure, failures } from '../../../shared/core/failures.ts';

test('a disk’s own error is the disk’s, so that workers wait for the next life', () => {
  for (const code of ['ENOSPC', 'EIO', 'EDQUOT', 'EROFS']) {
    const failure = asFailure(Object.assign(new Error('no space'), { code }));
    assert.equal(failure.code, 'disk');
    assert.equal(failures[failure.code].remedy, 'retry');
    assert.match(failure.message, /no space/);
  }
});

test('a failure stays what it is, anything else is internal', () => {
  const fenced = new Failure('fenced', 'x');
  assert.equal(asFailure(fenced), fenced);
  assert.equal(asFailure(Object.assign(new Error('y'), { code: 'ENOENT' })).code, 'internal');
  assert.equal(asFailure('text').code, 'internal');
});
