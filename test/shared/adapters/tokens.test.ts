/** Tokens and the files that hold secrets. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readSecret, watchFiles, writeSecret } from '../../../shared/adapters/secret-files.ts';
import {
  liveTokens,
  mintToken,
  readTokens,
  revokeTokens,
} from '../../../shared/adapters/tokens.ts';

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'tandem-tokens-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
const tomorrow = () => new Date(Date.now() + 86_400_000);

test('a token is known by its text and kept as a hash', (t) => {
  const path = join(folder(t), 'tokens.json');
  const { id, token } = mintToken(path, { role: 'worker', name: 'gpu-1', expires: tomorrow() });
  const tokens = liveTokens(path, assert.fail);
  t.after(() => tokens.close());
  const identity = { role: 'worker', name: 'gpu-1' };
  assert.deepEqual(tokens.check(token), { kind: 'known', id, identity });
  const secret = token.split('.')[2] ?? '';
  assert.equal(secret.length, 43);
  assert.ok(!readFileSync(path, 'utf8').includes(secret));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a text that is no token, or another’s secret, is not known', (t) => {
  const path = join(folder(t), 'tokens.json');
  const one = mintToken(path, { role: 'worker', name: '*', expires: tomorrow() });
  const two = mintToken(path, { role: 'admin', name: '*', expires: tomorrow() });
  const tokens = liveTokens(path, assert.fail);
  t.after(() => tokens.close());
  const secret = one.token.split('.')[2] ?? '';
  for (const text of ['', 'tandem', one.token.slice(0, -1), `tandem.${two.id}.${secret}`, one.id])
    assert.deepEqual(tokens.check(text), { kind: 'unknown', reason: 'its token is not known' });
});

test('an expired or revoked token says so to its owner only', (t) => {
  const path = join(folder(t), 'tokens.json');
  const old = mintToken(path, { role: 'worker', name: '*', expires: new Date(Date.now() - 1) });
  const back = mintToken(path, { role: 'worker', name: 'gpu-2', expires: tomorrow() });
  assert.equal(revokeTokens(path, 'gpu-2'), 1);
  assert.equal(revokeTokens(path, back.id), 0, 'it is revoked already');
  const tokens = liveTokens(path, assert.fail);
  t.after(() => tokens.close());
  const reason = (text: string) => {
    const answer = tokens.check(text);
    return answer.kind === 'unknown' ? answer.reason : 'known';
  };
  assert.match(reason(old.token), /its token expired on/);
  assert.match(reason(back.token), /its token was revoked/);
  assert.match(tokens.fault(back.id) ?? '', /revoked/);
  assert.match(reason(`tandem.${back.id}.${'A'.repeat(43)}`), /not known/);
});

test('a file of tokens that is none is refused', (t) => {
  const path = join(folder(t), 'tokens.json');
  for (const text of ['{', '{"version":2,"tokens":[]}', '{"version":1,"tokens":[{"id":"x"}]}']) {
    writeSecret(path, text);
    assert.throws(() => readTokens(path), /is no tokens' file/);
  }
});

test('a secret that every user can read is refused, and what it holds is not told', (t) => {
  const path = join(folder(t), 'secret');
  writeFileSync(path, 'hush-hush');
  chmodSync(path, 0o644);
  assert.throws(
    () => readSecret('tls-key', path),
    (error: Error) => /every user.*chmod o=/.test(error.message) && !/hush/.test(error.message),
  );
  chmodSync(path, 0o440);
  assert.equal(readSecret('tls-key', path).toString(), 'hush-hush');
});

test('a watched file is read again until it can be used, and each fault is told once', async (t) => {
  const path = join(folder(t), 'file');
  writeFileSync(path, 'one');
  const told: string[] = [];
  let tries = 0;
  const done = new Promise<void>((resolve) => {
    const close = watchFiles(
      [path],
      () => {
        tries += 1;
        if (tries < 3) throw new Error('half written');
        resolve();
      },
      (reason) => told.push(reason),
    );
    t.after(close);
  });
  writeFileSync(path, 'another');
  const alive = setInterval(() => undefined, 1000);
  await done;
  clearInterval(alive);
  assert.equal(tries, 3);
  assert.deepEqual(told, ['half written']);
});
