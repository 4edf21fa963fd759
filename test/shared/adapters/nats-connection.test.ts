/** Who we are to a NATS server: secrets come from files or the environment and stand nowhere else. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nkeys } from 'nats';
import {
  connectionOptions,
  natsTarget,
  withoutSecret,
} from '../../../shared/adapters/nats-connection.ts';

const folder = mkdtempSync(join(tmpdir(), 'tandem-creds-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const nats = 'nats://127.0.0.1:4222';

test('an address is shown without its password', () => {
  for (const [url, shown] of [
    ['nats://127.0.0.1:4222', 'nats://127.0.0.1:4222'],
    ['nats://me:secret@host:4222', 'nats://***@host:4222'],
    ['nats://me:se@cr@et@host', 'nats://***@host'],
    ['token@host', '***@host'],
    ['nats://a:b@one,nats://c:d@two', 'nats://***@one,nats://***@two'],
  ] as const)
    assert.equal(withoutSecret(url), shown);
});

test('a token, an nkey seed and a user of the environment are told apart', () => {
  const sign = (settings: object, env = {}) => {
    const { authenticator } = natsTarget({ nats, ...settings }, 't', env);
    return authenticator?.('bm9uY2U') as Record<string, string> | undefined;
  };
  assert.equal(sign({ natsCredentials: file('token', 's3cret\n') })?.['auth_token'], 's3cret');
  const seed = new TextDecoder().decode(nkeys.createUser().getSeed());
  const signed = sign({ natsCredentials: file('seed', `${seed}\n`) });
  assert.match(signed?.['nkey'] ?? '', /^U/);
  assert.equal(JSON.stringify(signed).includes(seed), false);
  assert.equal(sign({}, { TANDEM_NATS_TOKEN: 'x' })?.['auth_token'], 'x');
  const user = sign({}, { TANDEM_NATS_USER: 'u', TANDEM_NATS_PASSWORD: 'p' });
  assert.deepEqual([user?.['user'], user?.['pass']], ['u', 'p']);
  const inUrl = natsTarget({ nats: 'nats://u:p%40q@h:1' }, 't', {});
  assert.equal(inUrl.url, 'nats://h:1');
  assert.equal((inUrl.authenticator?.() as { pass?: string } | undefined)?.pass, 'p@q');
  assert.equal(sign({}), undefined);
});

test('files that cannot be used are refused, and their content is not shown', () => {
  const refused = (settings: object) => () => natsTarget({ nats, ...settings }, 't', {});
  assert.throws(refused({ natsCredentials: join(folder, 'absent') }), /--nats-credentials cannot/);
  assert.throws(refused({ natsCredentials: file('empty', ' \n') }), /is empty/);
  const odd = refused({ natsCredentials: file('odd', 'two words\nhush') });
  assert.throws(
    odd,
    (error: Error) => /neither/.test(error.message) && !/hush/.test(error.message),
  );
  assert.throws(refused({ natsCert: file('c', 'x') }), /belong together/);
});

test('certificates and the scheme tls ask for TLS; without them none is asked', () => {
  const tlsOf = (settings: object) =>
    connectionOptions(natsTarget({ nats, ...settings }, 't', {}), 1000).tls;
  assert.equal(tlsOf({}), undefined);
  assert.deepEqual(tlsOf({ nats: 'h:1', natsCa: file('ca', 'pem') }), { ca: 'pem' });
  assert.deepEqual(tlsOf({ nats: 'tls://h:1' }), {});
  // A server named by number is checked against that number.
  for (const [url, host] of [
    ['tls://10.0.0.1:4222', '10.0.0.1'],
    ['tls://[::1]:4222', '::1'],
    ['tls://10.0.0.1', '10.0.0.1'],
  ])
    assert.deepEqual(tlsOf({ nats: url }), { host });
  assert.deepEqual(tlsOf({ nats: 'tls://10.0.0.1:1,tls://10.0.0.2:1' }), {});
});
