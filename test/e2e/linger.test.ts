/** The end of a run as a cluster sees it: probes, late workers, a coordinator started once more. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { runClient } from '../../shared/adapters/run-client.ts';
import { parseLogLine } from '../../cli/log.ts';
import { askHealth } from '../support/health-probe.ts';
import { addressOf, endedWith, scratch, startTandem, type Tandem } from '../support/processes.ts';
import type { RunSummary } from '../../shared/core/summary.ts';

const tiny = [
  ...['--data', 'synthetic:16', '--model', 'resnet18-cifar', '--size', '8'],
  ...['--batch', '4', '--micro-batch', '2', '--steps', '1', '--linger', '600'],
];

/** Dashboard, figures and events of a run that is over. */
async function stillShown(coordinator: Tandem, address: string): Promise<void> {
  const [dashboard, metrics] = ['dashboard', 'metrics'].map(
    (name) => new RegExp(`${name}: (\\S+)`).exec(coordinator.out())?.[1] ?? '',
  ) as [string, string];
  const summary = (await (await fetch(new URL('api/summary', dashboard))).json()) as RunSummary;
  assert.deepEqual([summary.state, summary.step], ['done', 1]);
  const stream = await (await fetch(new URL('api/events', dashboard))).text();
  assert.match(stream, /"run-done"[^]*event: end/);
  assert.match(await (await fetch(metrics)).text(), /^tandem_step(\{[^}]*\})? 1$/m);
  const kinds = [];
  for await (const { kind } of runClient(address).watch(0, new AbortController().signal))
    kinds.push(kind);
  assert.equal(kinds.at(-1), 'run-done');
}

it('a run that is over says so to late workers, also after a restart', async (t) => {
  const run = join(scratch(t), 'run');
  const shown = [
    '--health',
    '127.0.0.1:0',
    '--dashboard',
    '127.0.0.1:0',
    '--metrics',
    '127.0.0.1:0',
  ];
  const args = ['coordinator', ...tiny, '--run', run, ...shown, '--verbose'];
  const first = startTandem(t, args);
  const address = await addressOf(first);
  const health = /health on (\S+)/.exec(first.out())?.[1] ?? '';
  assert.equal(await askHealth(health, 'ready'), 'SERVING');
  const worker = startTandem(t, ['worker', '--coordinator', address, '--until-done']);
  assert.equal(await endedWith(worker, first), 0, worker.err());
  const late = startTandem(t, ['worker', '--coordinator', address, '--until-done']);
  assert.equal(await late.ended, 0, late.err());
  assert.match(late.err(), /the run is over at step 1 of 1/);
  assert.equal((await runClient(address).status()).step, 1);
  assert.equal(await askHealth(health, 'ready'), 'SERVING');
  await stillShown(first, address);
  first.process.kill('SIGTERM');
  assert.equal(await first.ended, 0, 'a signal after the end is no interruption');
  // Where ending takes longer than a moment, a line for people says so.
  const notice = 'tandem: finishing in good order.';
  const lines = first
    .err()
    .split('\n')
    .filter((line) => line !== '' && line !== notice);
  const log = lines.map(parseLogLine);
  assert.ok(
    log.every((line) => line?.who === 'coordinator'),
    first.err(),
  );
  assert.ok(
    log.some((line) => line?.text.endsWith('the run begins')),
    first.err(),
  );

  const again = startTandem(t, [...args, '--listen', address]);
  const later = startTandem(t, ['worker', '--coordinator', address]);
  assert.equal(await endedWith(later, again), 0, later.err());
  assert.match(later.err(), /the run is over at step 1 of 1/);
  await stillShown(again, address);
  again.process.kill('SIGTERM');
  assert.equal(await again.ended, 0);
  assert.equal(readdirSync(join(run, 'generations')).length, 2);
});
