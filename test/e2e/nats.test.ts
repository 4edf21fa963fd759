/**
 * Events on a real NATS server: a connected subscriber sees every one in order; a server that is
 * killed and comes back costs no step, and the coordinator closes the gap.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { followEvents } from '../../cli/follow.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { freePort, natsSkip, startNats, targetAt } from '../support/nats-server.ts';
import { addressOf, eventsUntil, scratch, startTandem } from '../support/processes.ts';

const method = [
  ...['--data', 'synthetic:64', '--model', 'resnet18', '--size', '32', '--seed', '3'],
  ...['--batch', '8', '--micro-batch', '4', '--steps', '12'],
];

const fileEvents = (run: string): RunEvent[] =>
  readFileSync(join(run, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent);

async function watched(
  t: TestContext,
  restart: boolean,
): Promise<{ seen: RunEvent[]; run: string }> {
  const port = await freePort();
  const url = `nats://127.0.0.1:${port}`;
  const server = await startNats(t, port);
  const run = join(scratch(t), 'nats-run');
  const args = ['coordinator', ...method, '--run', run, '--nats', url];
  const coordinator = startTandem(t, args);
  const address = await addressOf(coordinator);
  const seen: RunEvent[] = [];
  const signal = AbortSignal.timeout(180_000);
  const watching = (async () => {
    const source = { nats: targetAt(port), run, coordinator: address, since: 0, signal };
    for await (const event of followEvents(source)) seen.push(event);
  })();
  const worker = startTandem(t, ['worker', '--coordinator', address, '--data', 'synthetic:64']);
  if (restart) {
    await eventsUntil(run, (event) => event.kind === 'step-committed' && event.step === 3);
    server.kill('SIGKILL');
    await eventsUntil(run, (event) => event.kind === 'step-committed' && event.step === 6);
    await startNats(t, port);
  }
  assert.equal(await coordinator.ended, 0, coordinator.err());
  assert.equal(await worker.ended, 0, worker.err());
  await watching;
  return { seen, run };
}

const digestOf = (events: RunEvent[]): string | undefined => {
  const done = events.find((event) => event.kind === 'run-done');
  return done?.kind === 'run-done' ? done.digest : undefined;
};

describe('events on NATS', { concurrency: 1, timeout: 600_000, skip: natsSkip }, () => {
  let quiet: string | undefined;

  it('a subscriber sees every event, in order, as the file has them', async (t) => {
    const { seen, run } = await watched(t, false);
    assert.deepEqual(seen, fileEvents(run));
    quiet = digestOf(seen);
    assert.match(quiet ?? '', /^[0-9a-f]{64}$/);
  });

  it('a server that dies and comes back costs no step, and the gap is closed', async (t) => {
    const { seen, run } = await watched(t, true);
    const file = fileEvents(run);
    assert.deepEqual(
      seen.map((event) => event.seq),
      file.map((event) => event.seq),
    );
    assert.deepEqual(seen, file);
    assert.equal(digestOf(file), quiet);
    assert.ok(file.some((event) => event.kind === 'warning' && event.code === 'nats'));
    assert.equal(file.filter((event) => event.kind === 'lease-moved').length, 0);
  });

  it('a server that is not there changes nothing', async (t) => {
    const run = join(scratch(t), 'run');
    const url = `nats://127.0.0.1:${await freePort()}`;
    const training = startTandem(t, ['train', ...method, '--run', run, '--nats', url]);
    assert.equal(await training.ended, 0, training.err());
    assert.equal(digestOf(fileEvents(run)), quiet);
  });
});
