/** A worker that is not trusted or not known ends; one that was welcome before comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { turnedAwayBy } from '../../../worker/shell/turned-away.ts';

const broken = (code: grpc.status, details: string): grpc.ServiceError =>
  Object.assign(new Error(details), { code, details, metadata: new grpc.Metadata() });
const codeOf = (code: grpc.status, details: string, welcome = false, failures = 0) =>
  turnedAwayBy(broken(code, details), welcome, failures)?.code ?? null;
const { UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE } = grpc.status;

test('a coordinator that does not know or not allow it ends a worker', () => {
  assert.equal(codeOf(UNAUTHENTICATED, 'its token was revoked', true), 'unauthenticated');
  assert.equal(codeOf(PERMISSION_DENIED, 'no'), 'forbidden');
});

test('a handshake that fails for its certificates ends a worker that was never welcome', () => {
  for (const words of [
    'No connection established. Last error: Error: self-signed certificate in certificate chain.',
    "Hostname/IP does not match certificate's altnames: IP: 10.0.0.1 is not in the cert's list",
    'SSL routines:ssl3_read_bytes:tlsv13 alert certificate required',
    'write EPROTO SSL routines:ssl3_get_record:wrong version number',
  ]) {
    assert.equal(codeOf(UNAVAILABLE, words), 'untrusted', words);
    assert.equal(codeOf(UNAVAILABLE, words, true), null, 'it may be renewed at this moment');
  }
});

test('a coordinator that is away is waited for; one that hangs up again and again is not', () => {
  assert.equal(codeOf(UNAVAILABLE, 'connect ECONNREFUSED 127.0.0.1:1', false, 100), null);
  assert.equal(codeOf(UNAVAILABLE, 'Last error: Failed to connect', false, 3), null);
  assert.equal(codeOf(UNAVAILABLE, 'Last error: Failed to connect', false, 20), 'untrusted');
});
