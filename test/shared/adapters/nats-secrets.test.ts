/**
 * Every kind of secret against a real server: an nkey over TLS, and a credentials file (JWT and seed)
 * of an operator's account. Certificates are made by openssl; where it is missing, that test is skipped.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nkeys } from 'nats';
import { type NatsSettings, natsTarget } from '../../../shared/adapters/nats-connection.ts';
import { natsPublisher } from '../../../shared/adapters/nats-publisher.ts';
import { eventList } from '../../support/event-list.ts';
import { freePort, natsSkip, startNats, until } from '../../support/nats-server.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'tandem-secrets-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Publishes three events; what was said, and whether all were taken before anything was refused. */
async function publish(settings: NatsSettings): Promise<{ taken: boolean; said: string }> {
  const source = eventList(3);
  const said: string[] = [];
  const publisher = natsPublisher({
    target: natsTarget(settings, 'a test', {}),
    run: 'secret',
    source,
    beat: () => ({ run: 'secret', generation: 1, seq: 3, step: 0, time: '' }),
    say: (_, message) => said.push(message),
  });
  const refused = (): boolean => said.some((line) => /nothing goes to NATS/.test(line));
  await until(() => publisher.acknowledged === 3 || refused(), 'an answer of the server');
  const taken = publisher.acknowledged === 3;
  await publisher.close();
  return { taken, said: said.join('\n') };
}

const noOpenssl =
  spawnSync('openssl', ['version']).status === 0 ? false : 'no openssl to make a certificate with';

test('an nkey over TLS is let in; without the authority, or with another key, nobody is', {
  skip: natsSkip || noOpenssl,
}, async (t) => {
  const place = folder(t);
  const [cert, key] = [join(place, 'cert.pem'), join(place, 'key.pem')];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=here'];
  const name = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert];
  execFileSync('openssl', [...made, ...name], { stdio: 'pipe' });
  const user = nkeys.createUser();
  const seed = join(place, 'user.nk');
  writeFileSync(seed, `${text(user.getSeed())}\n`);
  const other = join(place, 'other.nk');
  writeFileSync(other, text(nkeys.createUser().getSeed()));
  const port = await freePort();
  const config =
    `tls { cert_file: "${cert}", key_file: "${key}" }\n` +
    `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`;
  await startNats(t, port, { store: place, config });
  const nats = `tls://127.0.0.1:${port}`;
  const right = await publish({ nats, natsCa: cert, natsCredentials: seed });
  assert.ok(right.taken, right.said);
  const wrong = await publish({ nats, natsCa: cert, natsCredentials: other });
  assert.ok(!wrong.taken);
  assert.match(wrong.said, /authorization/i);
  const untrusted = await publish({ nats, natsCredentials: seed });
  assert.ok(!untrusted.taken);
  assert.match(untrusted.said, /certificate/i);
});

const forever = -1;
const base64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url');

/** A token as an operator's tools would sign it. */
function signed(
  issuer: ReturnType<typeof nkeys.createUser>,
  subject: string,
  nats: Record<string, unknown>,
): string {
  const issued = Math.floor(Date.now() / 1000);
  const about = { jti: subject, iat: issued, iss: issuer.getPublicKey(), name: 't', sub: subject };
  const head = base64(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const body = base64(JSON.stringify({ ...about, nats: { ...nats, version: 2 } }));
  const signature = issuer.sign(new TextEncoder().encode(`${head}.${body}`));
  return `${head}.${body}.${base64(signature)}`;
}

test('a credentials file of an account is let in, another account’s is not', {
  skip: natsSkip,
}, async (t) => {
  const place = folder(t);
  const [operator, account, stranger, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ];
  const limits = {
    ...{ subs: forever, data: forever, payload: forever, imports: forever, exports: forever },
    ...{ wildcards: true, conn: forever, leaf: forever, mem_storage: forever },
    ...{ disk_storage: forever, streams: forever, consumer: forever },
  };
  const operatorToken = signed(operator, operator.getPublicKey(), { type: 'operator' });
  const accountToken = signed(operator, account.getPublicKey(), { type: 'account', limits });
  const credentials = (issuer: typeof account): string => {
    const body = { type: 'user', subs: forever, data: forever, payload: forever };
    const token = signed(issuer, user.getPublicKey(), body);
    return (
      `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${text(user.getSeed())}\n------END USER NKEY SEED------\n`
    );
  };
  const [own, foreign] = [join(place, 'own.creds'), join(place, 'foreign.creds')];
  writeFileSync(own, credentials(account));
  writeFileSync(foreign, credentials(stranger));
  const port = await freePort();
  const config =
    '# no jetstream: with operators that needs a system account\n' +
    `operator: ${operatorToken}\nresolver: MEMORY\n` +
    `resolver_preload: { ${account.getPublicKey()}: ${accountToken} }`;
  await startNats(t, port, { store: place, config });
  const nats = `nats://127.0.0.1:${port}`;
  const right = await publish({ nats, natsCredentials: own });
  assert.ok(right.taken, right.said);
  const wrong = await publish({ nats, natsCredentials: foreign });
  assert.ok(!wrong.taken);
  assert.doesNotMatch(wrong.said, /SU[A-Z2-7]{20}|eyJ/);
});
