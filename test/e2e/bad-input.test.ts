/**
 * What goes wrong between real processes: each says what was expected, what was found and what to
 * do, loses nothing, and never hangs.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { channelOptions, TrainingService } from '../../shared/adapters/grpc.ts';
import { protoVersion } from '../../shared/wire/limits.ts';
import type { BucketWish, ConverseRequest, ConverseResponse } from '../../shared/wire/messages.ts';
import {
  addressOf,
  endedWith,
  eventsUntil,
  scratch,
  startTandem,
  tandem,
} from '../support/processes.ts';

const base = ['--data', 'synthetic:64', '--model', 'resnet18', '--size', '32', '--seed', '5'];
const method = [...base, '--batch', '8', '--micro-batch', '4'];

async function coordinatorFor(t: TestContext, steps: number) {
  const run = join(scratch(t), 'run');
  const coordinator = startTandem(t, [
    'coordinator',
    ...method,
    '--steps',
    `${steps}`,
    '--run',
    run,
  ]);
  return { run, coordinator, address: await addressOf(coordinator) };
}

type Control = grpc.ClientDuplexStream<ConverseRequest, ConverseResponse>;

function rawClient(t: TestContext, address: string) {
  const client = new TrainingService(address, grpc.credentials.createInsecure(), channelOptions);
  t.after(() => client.close());
  return client as unknown as {
    converse(): Control;
    pushGradients(m: grpc.Metadata): grpc.ClientDuplexStream<object, BucketWish>;
  };
}

const join_ = (version: number, worker: string): ConverseRequest => ({
  join: {
    protoVersion: version,
    worker,
    pid: 1,
    host: 'here',
    description: 'a test',
    identity: '',
    session: '',
    protoOldest: version,
  },
});

async function answer<K extends keyof ConverseResponse>(control: Control, kind: K) {
  for await (const message of control as AsyncIterable<ConverseResponse>)
    if (message[kind]) return message[kind];
  throw new Error(`the stream ended without ${kind}`);
}

describe('a coordinator and peers that do wrong', { concurrency: 1, timeout: 600_000 }, () => {
  it('a worker of another protocol version is refused with what to do', async (t) => {
    const { address } = await coordinatorFor(t, 1);
    const control = rawClient(t, address).converse();
    control.write(join_(protoVersion + 1, 'future'));
    const refused = await answer(control, 'refused');
    assert.equal(refused?.code, 'other-proto');
    assert.equal(refused?.remedy, 'stop');
    assert.match(refused?.message ?? '', /install the same release/);
  });

  it('a wrong-shaped gradient is refused at the door and the run ends well', async (t) => {
    const { run, address, coordinator } = await coordinatorFor(t, 12);
    const honest = startTandem(t, ['worker', '--coordinator', address, '--name', 'honest']);
    const joined = await eventsUntil(run, (event) => event.kind === 'worker-joined');
    assert.ok(joined);
    const { stages, graph } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).deviceClass;
    const client = rawClient(t, address);
    const control = client.converse();
    control.on('error', () => undefined);
    control.write(join_(protoVersion, 'liar'));
    const welcome = await new Promise<ConverseResponse['welcome']>((resolve) => {
      control.on('data', (message: ConverseResponse) => {
        if (message.welcome) resolve(message.welcome);
        if (!message.lease) return;
        const { generation, step, level, index, attempt } = message.lease;
        const first = index << level;
        const leaves = Array.from({ length: 1 << level }, (_, i) => ({
          leaf: first + i,
          inputHash: '0'.repeat(64),
          leafHash: '0'.repeat(64),
          loss: 0,
          std: 0,
          nonFinite: false,
        }));
        control.write({ nodeReady: { generation, step, level, index, leaves, attempt } });
      });
    });
    const metadata = new grpc.Metadata();
    metadata.set('worker', 'liar');
    metadata.set('generation', String(welcome?.generation));
    metadata.set('session', welcome?.session ?? '');
    const gradients = client.pushGradients(metadata);
    gradients.on('error', () => undefined);
    gradients.on('data', (wish: BucketWish) =>
      gradients.write({ ...wish, data: Buffer.alloc(12), crc32: 0 }),
    );
    control.write({ ready: { stages, description: 'a liar', held: [], graph } });
    assert.equal(await endedWith(coordinator, honest), 0, coordinator.err());
    const events = await eventsUntil(run, (event) => event.kind === 'run-done');
    const refused = events.find((event) => event.kind === 'worker-refused');
    if (refused?.kind !== 'worker-refused') throw new Error('the liar was not refused');
    assert.equal(refused.code, 'bad-gradient');
    assert.match(refused.message, /12 bytes where this model has \d+/);
  });

  it('garbage on the port harms nobody', async (t) => {
    const { run, address, coordinator } = await coordinatorFor(t, 1);
    const [host = '', port = ''] = address.split(':');
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x00\xff\x00\xff'.repeat(4096), '']) {
      const socket = connect(Number(port), host);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(bytes, 'latin1');
      await sleep(200);
      socket.destroy();
    }
    const worker = startTandem(t, ['worker', '--coordinator', address]);
    assert.equal(await endedWith(coordinator, worker), 0, coordinator.err());
    await eventsUntil(run, (event) => event.kind === 'run-done');
  });

  it('a port in use is named', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const run = join(scratch(t), 'run');
    const args = ['coordinator', ...method, '--steps', '1', '--run', run];
    const coordinator = startTandem(t, [...args, '--listen', `127.0.0.1:${port}`]);
    assert.equal(await coordinator.ended, 69);
    assert.match(coordinator.err(), new RegExp(`cannot listen on 127.0.0.1:${port}`));
    assert.match(coordinator.err(), /--listen/);
    assert.doesNotMatch(coordinator.err(), /\n\s+at /, 'no stack');
  });
});

describe('a run folder that was harmed', { concurrency: 1, timeout: 600_000 }, () => {
  const whole = ['train', ...method, '--steps', '6', '--checkpoint-every', '2', '--workers', '1'];
  let kept = '';
  let digest = '';

  it('a run with checkpoints at every second step', async (t) => {
    const run = join(scratch(t), 'run');
    await tandem(t, [...whole, '--run', run, '--stop-at', '5', '--json']);
    const clean = join(scratch(t), 'clean');
    cpSync(run, clean, { recursive: true });
    const out = await tandem(t, [...whole, '--run', clean, '--json']);
    digest = JSON.parse(out.trim()).digest;
    kept = join(process.env['TMPDIR'] ?? '/tmp', `tandem-harmed-${process.pid}`);
    cpSync(run, kept, { recursive: true });
    process.once('exit', () => undefined);
  });

  const harms: [string, (model: string) => void][] = [
    ['cut short', (model) => truncateSync(model, 100_000)],
    [
      'bit-flipped',
      (model) => {
        const bytes = readFileSync(model);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4;
        writeFileSync(model, bytes);
      },
    ],
  ];
  for (const [what, harm] of harms)
    it(`a checkpoint ${what}: the one before is used, and said; the end is the same`, async (t) => {
      const run = join(scratch(t), 'run');
      cpSync(kept, run, { recursive: true });
      for (const slot of readdirSync(join(run, 'warm'))) truncateSync(join(run, 'warm', slot), 10);
      harm(join(run, 'checkpoints', 'step-00000005', 'model.safetensors'));
      const out = await tandem(t, [...whole, '--run', run, '--json']);
      assert.equal(JSON.parse(out.trim()).digest, digest);
      const events = await eventsUntil(run, (event) => event.kind === 'run-done' && !event.stopped);
      const warning = events.find((e) => e.kind === 'warning' && e.code === 'checkpoint-damaged');
      assert.match(warning?.kind === 'warning' ? warning.message : '', /step 5 is damaged/);
      const rewound = events.find((event) => event.kind === 'rewound');
      assert.deepEqual(rewound?.kind === 'rewound' && [rewound.from, rewound.to], [5, 4]);
    });

  it('resumed with another method, the field is named and nothing is touched', async (t) => {
    const run = join(scratch(t), 'run');
    cpSync(kept, run, { recursive: true });
    const before = readFileSync(join(run, 'ledger.jsonl'));
    const args = [...whole, '--run', run, '--seed', '6'];
    const training = startTandem(t, args);
    assert.equal(await training.ended, 78);
    assert.match(training.err(), /seed/);
    assert.match(training.err(), /another --run/);
    assert.ok(readFileSync(join(run, 'ledger.jsonl')).equals(before));
  });

  it('damage in the middle of the ledger stops, with nothing changed', async (t) => {
    const run = join(scratch(t), 'run');
    cpSync(kept, run, { recursive: true });
    const ledger = join(run, 'ledger.jsonl');
    const text = readFileSync(ledger, 'utf8').replace('"step":2', '"step":7');
    writeFileSync(ledger, text);
    const training = startTandem(t, [...whole, '--run', run]);
    assert.equal(await training.ended, 65);
    assert.match(training.err(), /record 3 does not hold/);
    assert.equal(readFileSync(ledger, 'utf8'), text);
  });
});

describe('images that cannot be read', { concurrency: 1, timeout: 600_000 }, () => {
  it('an image cut short is gray for everyone, and said, at any number of workers', async (t) => {
    const data = join(scratch(t), 'photos');
    mkdirSync(data);
    const { default: sharp } = await import('sharp');
    for (let i = 0; i < 9; i += 1)
      await sharp({
        create: {
          width: 48,
          height: 40,
          channels: 3,
          background: { r: 20 * i, g: 90, b: 200 - 20 * i },
          noise: { type: 'gaussian', mean: 128, sigma: 40 },
        },
      })
        .jpeg()
        .toFile(join(data, `${i}.jpg`));
    copyFileSync(join(data, '3.jpg'), join(data, '9.jpg'));
    truncateSync(join(data, '9.jpg'), 700);
    const digests: string[] = [];
    for (const workers of ['1', '2']) {
      const run = join(scratch(t), 'run');
      const sizes = ['--size', '32', '--batch', '8', '--micro-batch', '4', '--steps', '2'];
      const args = ['train', '--data', data, ...sizes, '--workers', workers, '--run', run];
      digests.push(JSON.parse((await tandem(t, [...args, '--json'])).trim()).digest);
      const events = await eventsUntil(run, (event) => event.kind === 'run-done');
      const said = events.find((event) => event.kind === 'sample-undecodable');
      assert.match(said?.kind === 'sample-undecodable' ? said.path : '', /9\.jpg/);
    }
    assert.equal(digests[0], digests[1]);
  });
});

describe('stopping by hand', { concurrency: 1, timeout: 600_000 }, () => {
  it('Ctrl-C saves a checkpoint and the run goes on from there', async (t) => {
    const run = join(scratch(t), 'run');
    const args = ['train', ...method, '--steps', '6', '--workers', '1', '--run', run];
    const training = startTandem(t, args);
    await eventsUntil(run, (event) => event.kind === 'step-committed' && event.step === 2);
    training.process.kill('SIGINT');
    assert.equal(await training.ended, 130);
    const events = await eventsUntil(run, (event) => event.kind === 'run-done');
    const done = events.at(-1);
    assert.ok(done?.kind === 'run-done' && done.stopped && done.step >= 2);
    const out = await tandem(t, [...args, '--json']);
    assert.equal(JSON.parse(out.trim()).step, 6);
  });

  it('a supervisor that is killed leaves no orphan', async (t) => {
    const run = join(scratch(t), 'run');
    const args = ['train', ...method, '--steps', '9999', '--workers', '2', '--run', run];
    const training = startTandem(t, args);
    const events = await eventsUntil(run, (event) => event.kind === 'step-committed');
    const pids = events.flatMap((event) => (event.kind === 'worker-joined' ? [event.pid] : []));
    pids.push(JSON.parse(readFileSync(join(run, 'coordinator.json'), 'utf8')).pid);
    assert.ok(pids.length >= 2);
    training.process.kill('SIGKILL');
    const alive = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    const deadline = performance.now() + 30_000;
    while (pids.some(alive) && performance.now() < deadline) await sleep(100);
    assert.deepEqual(pids.filter(alive), []);
  });
});
