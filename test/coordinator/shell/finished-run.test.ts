/** A run that is over, met by real workers and by those who ask for its state. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { openDoor } from '../../../coordinator/shell/door.ts';
import { finishedServer } from '../../../coordinator/shell/finished-run.ts';
import { runClient } from '../../../shared/adapters/run-client.ts';
import { parseConfig } from '../../../shared/core/config.ts';
import { emptySummary } from '../../../shared/core/summary.ts';
import { startTandem } from '../../support/processes.ts';

async function finished(t: TestContext): Promise<string> {
  const summary = { ...emptySummary, state: 'done' as const, step: 9, totalSteps: 9 };
  const door = openDoor(parseConfig([]).config, () => undefined);
  const event = {
    seq: 7,
    time: '',
    step: 9,
    because: '',
    kind: 'worker-left',
    worker: 'w',
  } as const;
  const events = {
    async *after(seq: number) {
      if (seq < event.seq) yield event;
    },
  };
  const server = finishedServer({ name: 'r', generation: 2, summary, events }, door);
  t.after(() => {
    server.forceShutdown();
    door.close();
  });
  const plain = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', plain, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return `127.0.0.1:${port}`;
}

test('a worker that comes late hears that the run is over and ends well', async (t) => {
  const worker = startTandem(t, ['worker', '--coordinator', await finished(t), '--until-done']);
  assert.equal(await worker.ended, 0, worker.err());
  assert.match(worker.err(), /the run is over at step 9 of 9/);
});

test('its state can still be asked for', async (t) => {
  const status = await runClient(await finished(t)).status();
  assert.deepEqual([status.run, status.state, status.step], ['r', 'done', 9]);
});

test('its events can still be read, and end', async (t) => {
  const client = runClient(await finished(t));
  const { signal } = new AbortController();
  const seen = [];
  for await (const event of client.watch(6, signal)) seen.push(event.seq);
  for await (const event of client.watch(7, signal)) seen.push(event.seq);
  assert.deepEqual(seen, [7]);
});

test('a worker sent away before the end exits with 75 where that was asked, else with 0', async (t) => {
  for (const [more, expected] of [[['--until-done'], 75] as const, [[], 0] as const]) {
    // Nobody listens on port 1: it stays away until it is told to leave.
    const worker = startTandem(t, ['worker', '--coordinator', '127.0.0.1:1', ...more]);
    while (!worker.err().includes('away from the coordinator'))
      await Promise.race([new Promise((turn) => setTimeout(turn, 20)), worker.ended]);
    worker.process.kill('SIGTERM');
    assert.equal(await worker.ended, expected, worker.err());
  }
});
