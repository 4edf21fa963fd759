/**
 * The negative matrix: one run behind certificates and tokens is attacked in every way that the
 * documents name, while it trains. Each attack is refused with its reason, honest workers go on, and
 * the run ends with the digest of a quiet one.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import * as http2 from 'node:http2';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as tls from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { authority, days } from '../support/authority.ts';
import { imageBomb } from '../support/image-bomb.ts';
import '../support/use-small-model.ts';

// After the small model has taken its place.
const { smallRun, tinyPhotographs } = await import('../support/small-run.ts');
const { runClient } = await import('../../shared/adapters/run-client.ts');
const { channelOptions, RunService } = await import('../../shared/adapters/grpc.ts');
const { revokeTokens } = await import('../../shared/adapters/tokens.ts');
const { asFailure } = await import('../../shared/core/failures.ts');
const { eventsUntil } = await import('../support/processes.ts');
const support = await import('../support/guarded-run.ts');
const { endOf, guardedWorker, joinAs, rawClient, securityOf, tokenFile } = support;
type Files = import('../support/authority.ts').Files;
type Shown = import('../support/guarded-run.ts').Shown;
type ConverseResponse = import('../../shared/wire/messages.ts').ConverseResponse;
type Coordinator = import('../support/guarded-run.ts').Coordinator;

const base = mkdtempSync(join(tmpdir(), 'tandem-security-'));
after(() => rmSync(base, { recursive: true, force: true }));
const { PERMISSION_DENIED, UNAVAILABLE, NOT_FOUND, ABORTED } = grpc.status;

const steps = 60;
const tokens = join(base, 'tokens.json');
const ours = authority(base);
const theirs = authority(base, 'their-ca');

let coordinatorFiles: Files;
let worker: Shown & { tls: Files; id: string; text: string };
let watcher: Shown & { tls: Files };
let admin: Shown & { tls: Files };
let quietDigest = '';
let coordinator: Coordinator;
const run = join(base, 'guarded');
let open: () => void = () => undefined;
const attacked = new Promise<void>((resolve) => {
  open = resolve;
});
const honest: Promise<boolean>[] = [];
let loris: Promise<void> = Promise.reject(new Error('it was not let loose'));
loris.catch(() => undefined);

/** Honest workers are slow while attacks go on, and do not finish before them. */
const slowly = async (leaf: number): Promise<void> => {
  if (leaf < 40) await Promise.race([attacked, sleep(25)]);
  else await attacked;
};

/** A guest computes, so that its end can be waited for, and far too slowly to end the run. */
const barely = (): Promise<unknown> => Promise.race([attacked, sleep(1000)]);

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => asFailure(error).code,
  );

/** The end of a status call by certificates that our own client would not use. */
async function statusBy({ cert, key, ca }: Files, port: string): Promise<grpc.ServiceError> {
  const [caPem, keyPem, certPem] = [ca, key, cert].map((path) => readFileSync(path));
  const credentials = grpc.credentials.createSsl(caPem, keyPem, certPem);
  const client = new RunService(`localhost:${port}`, credentials, channelOptions);
  const getStatus = client['getStatus'] as (
    request: object,
    options: object,
    done: (error: grpc.ServiceError | null) => void,
  ) => void;
  const error = await new Promise<grpc.ServiceError | null>((resolve) =>
    getStatus.call(client, {}, { deadline: Date.now() + 20_000 }, resolve),
  );
  client.close();
  assert.ok(error, 'it was served');
  return error;
}

/** Shows a good certificate, then a byte of the preface now and then; resolves once it is dropped. */
async function trickle(): Promise<void> {
  const { cert, key, ca } = worker.tls;
  const socket = tls.connect({
    ...{ host: 'localhost', port: Number(portOf()), ALPNProtocols: ['h2'] },
    ...{ cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca) },
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
  const closed = new Promise((resolve) => socket.resume().once('close', resolve));
  let at = 0;
  const timer = setInterval(() => {
    if (!socket.destroyed) socket.write(preface.subarray(at, at + 1));
    at += 1;
  }, 700);
  await closed;
  clearInterval(timer);
}

const portOf = () => coordinator.address.split(':').at(-1) ?? '';

describe('a run under attack', { concurrency: 1, timeout: 300_000 }, () => {
  before(async () => {
    const data = await tinyPhotographs(join(base, 'data'), 24, [5]);
    quietDigest = (await smallRun({ data, steps, run: join(base, 'quiet') }, 2)).digest;
    // The run under attack finds it among its photographs.
    writeFileSync(join(data, 'bomb.png'), imageBomb(65_535, 65_535));
    coordinatorFiles = ours.files('coordinator', 'coordinator', { called: 'coordinator' });
    const workerToken = tokenFile(base, tokens, 'worker');
    const shown = (role: 'worker' | 'watcher' | 'admin') => ({
      tls: ours.files(role, role),
      token: role === 'worker' ? workerToken.path : tokenFile(base, tokens, role).path,
    });
    worker = { ...shown('worker'), id: workerToken.id, text: workerToken.token };
    watcher = shown('watcher');
    admin = shown('admin');
    const { cert, key, ca } = coordinatorFiles;
    const guarded = { 'tls-cert': cert, 'tls-key': key, 'tls-ca': ca, tokens };
    coordinator = await support.startCoordinator({ data, steps, run, ...guarded });
    for (const name of ['w0', 'w1'])
      honest.push(guardedWorker(coordinator.address, name, worker, slowly));
    await eventsUntil(run, (event) => event.kind === 'step-committed');
    loris = trickle();
  });

  it('a worker with a certificate of another authority is not heard', async () => {
    const foreign = { ...theirs.files('their-worker', 'worker'), ca: ours.ca };
    const client = rawClient(coordinator.address, { ...worker, tls: foreign });
    const { code, messages } = await endOf(client.listSamples({}));
    client.close();
    assert.equal(code, UNAVAILABLE);
    assert.equal(messages.length, 0);
  });

  it('a worker that trusts another authority does not trust the coordinator', async () => {
    const misled = { ...worker.tls, ca: theirs.ca };
    const ended = guardedWorker(coordinator.address, 'x', { ...worker, tls: misled });
    await assert.rejects(ended, (error: unknown) => {
      assert.equal(asFailure(error).code, 'untrusted');
      assert.match(asFailure(error).message, /--tls-ca/);
      return true;
    });
  });

  for (const [what, validity, words] of [
    ['expired', days(-3, -1), /has expired on/],
    ['not yet valid', days(1, 3), /is valid only from/],
  ] as const)
    it(`a certificate that is ${what}: refused by both ends`, async () => {
      const files = ours.files(what.replaceAll(' ', '-'), 'worker', { validity });
      const ended = guardedWorker(coordinator.address, 'x', { ...worker, tls: files });
      await assert.rejects(ended, (error: unknown) => {
        assert.equal(asFailure(error).code, 'bad-certificate');
        assert.match(asFailure(error).message, words);
        return true;
      });
      assert.equal((await statusBy(files, portOf())).code, UNAVAILABLE);
    });

  it('a coordinator whose certificate names another host is not trusted', async () => {
    const elsewhere = ours.files('elsewhere', 'coordinator', { hosts: ['elsewhere.example'] });
    const { cert, key, ca } = elsewhere;
    const end = new AbortController();
    const other = await support.startCoordinator(
      {
        data: 'synthetic:16',
        run: join(base, 'other'),
        'tls-cert': cert,
        'tls-key': key,
        'tls-ca': ca,
      },
      end.signal,
    );
    const ended = guardedWorker(other.address, 'x', { tls: worker.tls });
    await assert.rejects(ended, (error: unknown) => {
      assert.equal(asFailure(error).code, 'untrusted');
      assert.match(asFailure(error).message, /altnames|does not match/i);
      return true;
    });
    end.abort(new Error('seen'));
    await other.ended.catch(() => undefined);
  });

  it('a worker’s certificate does not serve: nobody takes it for a coordinator', async () => {
    const { cert, key } = ours.files('posing', 'worker', { hosts: ['127.0.0.1'] });
    const server = http2.createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
    server.on('error', () => undefined).on('sessionError', () => undefined);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as { port: number };
    const found = await codeOf(guardedWorker(`127.0.0.1:${port}`, 'x', worker));
    server.close();
    assert.equal(found, 'untrusted');
  });

  it('a certificate and a token for one name join under no other', async () => {
    const files = ours.files('named', 'worker', { called: 'w7' });
    const { address } = coordinator;
    assert.equal(
      await codeOf(guardedWorker(address, 'w8', { ...worker, tls: files })),
      'forbidden',
    );
    // The coordinator's own certificate, which the workers of `train` show, is bound to none.
    const client = rawClient(address, { tls: coordinatorFiles });
    const control = client.converse();
    control.write(joinAs('any-name'));
    const [{ welcome }] = (await once(control, 'data')) as [ConverseResponse];
    assert.ok(welcome);
    client.close();
    const { path } = tokenFile(base, tokens, 'worker', 'w7');
    const shown = { tls: worker.tls, token: path };
    assert.match(await codeOf(guardedWorker(address, 'w8', shown)), /forbidden|unauthenticated/);
  });

  it('without a token, with an unknown or an expired one: refused with the reason', async () => {
    const { address } = coordinator;
    const rejects = async (shown: Shown, words: RegExp) => {
      await assert.rejects(runClient(address, securityOf(shown)).status(), (error: unknown) => {
        assert.equal(asFailure(error).code, 'unauthenticated');
        assert.match(asFailure(error).message, words);
        return true;
      });
    };
    await rejects({ tls: watcher.tls }, /asks for a token/);
    const forged = join(base, 'forged.token');
    writeFileSync(
      forged,
      worker.text.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      {
        mode: 0o600,
      },
    );
    await rejects({ tls: watcher.tls, token: forged }, /its token is not known/);
    const old = tokenFile(base, tokens, 'watcher', '*', -1);
    await untilKnown(old.path, /its token expired/);
  });

  /** The coordinator reads changed tokens within some seconds. */
  async function untilKnown(token: string, words: RegExp): Promise<void> {
    for (;;) {
      const answer = await runClient(coordinator.address, securityOf({ tls: watcher.tls, token }))
        .status()
        .catch((error: unknown) => asFailure(error));
      if ('message' in answer && words.test(answer.message)) return;
      assert.match('message' in answer ? answer.message : 'served', /not known/);
      await sleep(100);
    }
  }

  it('a token that is revoked sends its worker away', async () => {
    const token = tokenFile(base, tokens, 'worker');
    const shown = { tls: worker.tls, token: token.path };
    let ended: Promise<boolean> = Promise.reject(new Error('not yet'));
    ended.catch(() => undefined);
    const joined = eventsUntil(run, (e) => e.kind === 'worker-joined' && e.worker === 'revoked');
    let there = false;
    void joined.then(() => {
      there = true;
    });
    // The coordinator has not read the new token yet: until then it does not know it.
    for (let tries = 0; !there && tries < 100; tries += 1) {
      ended = guardedWorker(coordinator.address, 'revoked', shown, barely);
      await Promise.race([joined, ended.catch(() => sleep(200))]);
    }
    await joined;
    assert.equal(revokeTokens(tokens, token.id), 1);
    assert.equal(await codeOf(ended), 'unauthenticated');
    const left = await eventsUntil(run, (e) => e.kind === 'worker-left' && e.worker === 'revoked');
    assert.match(left.at(-1)?.because ?? '', /its token was revoked/);
  });

  it('a watcher may look and may not push, join, fetch or drain', async () => {
    const client = rawClient(coordinator.address, watcher);
    const { status, drain } = runClient(coordinator.address, securityOf(watcher));
    assert.equal((await status()).state, 'training');
    for (const stream of [
      client.pushGradients(new grpc.Metadata()),
      client.converse(),
      client.pullWeights({}),
      client.listSamples({}),
      client.fetchSample({ sha256: '0'.repeat(64) }),
    ]) {
      const { code, details } = await endOf(stream);
      assert.equal(code, PERMISSION_DENIED);
      assert.match(details, /role watcher may not call/);
    }
    await assert.rejects(drain('w0'), /role watcher may not call DrainWorker/);
    client.close();
  });

  it('a worker may not drain another, an admin may', async () => {
    const by = (shown: Shown) => runClient(coordinator.address, securityOf(shown));
    await assert.rejects(by(worker).drain('w0'), /role worker may not call DrainWorker/);
    await assert.rejects(by(admin).drain('nobody'), /no worker is called "nobody"/);
  });

  it('a certificate of one role with a token of another is nobody’s', async () => {
    const mixed = { tls: worker.tls, token: admin.token ?? null };
    const { drain } = runClient(coordinator.address, securityOf(mixed));
    await assert.rejects(drain('w0'), /different peers/);
  });

  it('a join that is replayed does not take the worker’s place', async () => {
    const client = rawClient(coordinator.address, worker);
    for (const session of ['', '0'.repeat(32)]) {
      const stream = client.converse();
      stream.write(joinAs('w0', session));
      const { code, details } = await endOf(stream);
      assert.equal(code, ABORTED);
      assert.match(details, /called w0 takes part already/);
    }
    client.close();
    const { workers } = await runClient(coordinator.address, securityOf(watcher)).status();
    assert.ok(workers.some(({ id, pid }) => id === 'w0' && pid === process.pid));
  });

  it('a gradient stream in another’s name or of a generation before is refused', async () => {
    const client = rawClient(coordinator.address, worker);
    for (const [generation, session] of [
      ['1', ''],
      ['1', 'f'.repeat(32)],
      ['0', ''],
    ] as const) {
      const metadata = new grpc.Metadata();
      metadata.set('worker', 'w0');
      metadata.set('generation', generation);
      metadata.set('session', session);
      const { code, details } = await endOf(client.pushGradients(metadata));
      assert.equal(code, ABORTED);
      assert.match(details, /join first/);
    }
    const stale = await endOf(client.pullWeights({ generation: 0, weightsHash: '0'.repeat(64) }));
    assert.equal(stale.code, ABORTED);
    client.close();
  });

  it('a gradient bomb, buckets that nobody asked for, ends the part of its worker', async () => {
    const client = rawClient(coordinator.address, worker);
    const control = client.converse();
    control.write(joinAs('bomber'));
    const [{ welcome }] = (await once(control, 'data')) as [ConverseResponse];
    const metadata = new grpc.Metadata();
    metadata.set('worker', 'bomber');
    metadata.set('generation', String(welcome?.generation));
    metadata.set('session', welcome?.session ?? '');
    const gradients = client.pushGradients(metadata);
    gradients.on('error', () => undefined);
    gradients.write({
      step: 0,
      level: 0,
      index: 0,
      bucket: 0,
      data: Buffer.alloc(1 << 20),
      crc32: 0,
    });
    const [{ refused }] = (await once(control, 'data')) as [ConverseResponse];
    assert.equal(refused?.code, 'bad-gradient');
    assert.match(refused?.message ?? '', /nobody asked for/);
    client.close();
    // One message of more than two megabytes breaks the stream that carries it.
    const large = rawClient(coordinator.address, worker, { 'grpc.max_send_message_length': -1 });
    const stream = large.converse();
    stream.write({ leave: { reason: 'x'.repeat(3 << 20), draining: false } });
    assert.equal((await endOf(stream)).code, grpc.status.RESOURCE_EXHAUSTED);
    large.close();
  });

  it('headers of a megabyte are refused', async () => {
    const client = rawClient(coordinator.address, watcher);
    const metadata = new grpc.Metadata();
    for (let i = 0; i < 64; i += 1) metadata.set(`x-${i}`, 'x'.repeat(16_000));
    const { code } = await endOf(client.converse(metadata));
    assert.notEqual(code, grpc.status.OK);
    client.close();
    assert.equal(
      (await runClient(coordinator.address, securityOf(watcher)).status()).state,
      'training',
    );
  });

  it('2,000 half-open connections are dropped, and others are served meanwhile', async () => {
    const [host = '', port = ''] = coordinator.address.split(':');
    const sockets = Array.from({ length: 2000 }, () => connect(Number(port), host));
    for (const socket of sockets) socket.on('error', () => undefined);
    let closed = 0;
    for (const socket of sockets) socket.resume().once('close', () => (closed += 1));
    // Some begin a handshake and stop in its middle.
    for (const socket of sockets.slice(0, 200)) socket.write(Buffer.from('160301', 'hex'));
    const { status } = runClient(coordinator.address, securityOf(watcher));
    assert.equal((await status()).state, 'training');
    // What overflowed the kernel's own queue never reaches the coordinator, and is not waited for.
    while (closed < 1000) await sleep(50);
    assert.equal((await status()).state, 'training');
    for (const socket of sockets) socket.destroy();
  });

  it('a slow loris, that shows a certificate and then trickles, is dropped', async () => {
    await loris;
  });

  it('a path in the place of a sample’s hash reads nothing', async () => {
    const client = rawClient(coordinator.address, worker);
    for (const sha256 of [
      '../../../../etc/passwd',
      '/etc/passwd',
      '000.png',
      '..%2f',
      '__proto__',
    ]) {
      const { code, messages } = await endOf(client.fetchSample({ sha256 }));
      assert.equal(code, NOT_FOUND);
      assert.equal(messages.length, 0);
    }
    client.close();
  });

  it('certificates are renewed under the run: new handshakes see the new ones', async () => {
    const seen = async (): Promise<string> => {
      const { cert, key, ca } = worker.tls;
      const socket = tls.connect({
        ...{ host: 'localhost', port: Number(portOf()), ALPNProtocols: ['h2'] },
        ...{ cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca) },
      });
      await once(socket, 'secureConnect');
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const old = await seen();
    ours.files('coordinator', 'coordinator', { called: 'coordinator' });
    ours.files('worker', 'worker');
    while ((await seen()) === old) await sleep(100);
    // A worker of the renewed certificates joins beside those of the old connections.
    const end = new AbortController();
    const late = guardedWorker(coordinator.address, 'late', worker, barely, end.signal);
    await eventsUntil(run, (event) => event.kind === 'worker-joined' && event.worker === 'late');
    const { workers } = await runClient(coordinator.address, securityOf(watcher)).status();
    assert.ok(['w0', 'w1', 'late'].every((name) => workers.some(({ id }) => id === name)));
    end.abort(new Error('seen'));
    await late.catch(() => undefined);
  });

  it('an image bomb among the photographs is left out by its header, and said', () => {
    const told = readFileSync(join(run, 'samples.jsonl'), 'utf8').split('\n');
    const lines = told.filter((line) => line.includes('bomb.png'));
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', /65,?535/);
  });

  it('the run ends with the digest of the quiet one, and no secret lies in its folder', async () => {
    open();
    const { digest } = await coordinator.ended;
    await Promise.all(honest);
    assert.equal(digest, quietDigest);
    const ledger = (folder: string) => readFileSync(join(base, folder, 'ledger.jsonl'));
    assert.ok(ledger('guarded').equals(ledger('quiet')));
    const secret = worker.text.split('.').at(-1) ?? '';
    const files = readdirSync(run, { recursive: true }).map((name) => join(run, String(name)));
    for (const file of files.filter((path) => statSync(path).isFile()))
      assert.ok(!readFileSync(file).includes(secret), `${file} holds a token`);
    assert.ok(!readFileSync(tokens).includes(secret), 'only a hash is kept');
    assert.deepEqual(
      coordinator.announced.filter((line) => /secret|tandem\.[\w-]{8}\./.test(line)),
      [],
    );
  });
});
