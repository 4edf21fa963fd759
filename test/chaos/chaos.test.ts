/**
 * A whole run under fire in a few seconds: the shipped coordinator, workers with the exact compute on
 * the smallest model, a real NATS server, one seed. The long runs are `npm run chaos`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { natsBinary } from '../support/nats-server.ts';
import { eventsUntil, scratch } from '../support/processes.ts';
import { type ChaosReport, chaosRun, scheduleOf } from './chaos-run.ts';
import { Cluster } from './cluster.ts';
import { type Hosts, loopback, namespacesRefusal } from './hosts.ts';
import { chaosOptions } from './options.ts';
import { differences } from './outcome.ts';

const method = ['--steps', '16', '--batch', '8', '--seed', '3', '--leaf', '150'];

/** One quiet run serves all tests. */
const shared = mkdtempSync(join(tmpdir(), 'tandem-chaos-'));

/** Runs it in a folder that is gone after the test; so is every process. */
async function played(t: TestContext, words: string[]): Promise<ChaosReport> {
  const living: { cluster: Cluster | null; hosts: Hosts | null } = { cluster: null, hosts: null };
  t.after(async () => {
    living.cluster?.killAll();
    await living.hosts?.close();
  });
  return chaosRun(
    chaosOptions([...method, '--quiet-run', join(shared, 'quiet'), ...words]),
    scratch(t),
    {
      onPhase: () => undefined,
      onEvent: () => undefined,
      onDeed: () => undefined,
      onCluster: (cluster, hosts) => Object.assign(living, { cluster, hosts }),
    },
  );
}

describe('a run under fire ends as the quiet run of one worker', {
  concurrency: 1,
  timeout: 600_000,
}, () => {
  after(() => rmSync(shared, { recursive: true, force: true }));

  it('through kills of anybody, stops, a drain and a join', async (t) => {
    const broker = natsBinary === undefined ? '0' : '1';
    const words = [
      ...['--kills', '3', '--coordinator-kills', '2', '--stops', '1', '--drains', '1'],
      ...['--joins', '1', '--nats-kills', broker],
    ];
    const { quiet, fired, faults } = await played(t, words);
    assert.deepEqual(faults, []);
    assert.equal(fired.outcome.digest, quiet.outcome.digest);
    assert.equal(fired.outcome.steps, 16);
    const wanted = scheduleOf(chaosOptions([...method, ...words])).map(({ fault }) => fault.kind);
    assert.deepEqual(
      fired.deeds.map(({ kind }) => kind),
      wanted,
      'everything that was drawn went wrong',
    );
    assert.equal(fired.events.filter(({ kind }) => kind === 'run-opened').length, 3);
    // The comparison can fail.
    const ledger = Buffer.from(quiet.outcome.ledger);
    ledger[10] = (ledger[10] ?? 0) ^ 1;
    const { length } = differences(
      { ...fired.outcome, digest: '', ledger, fault: 'x' },
      quiet.outcome,
    );
    assert.equal(length, 3);
  });

  it('through a trace of spare machines that are there and taken away again', async (t) => {
    const trace = join(scratch(t), 'trace.json');
    // Nobody below the first one, so that it goes on however long a process takes to start here.
    writeFileSync(trace, '[1, 3, 1, 2]');
    const words = ['--replay', trace, '--tick', '2', '--coordinator-kills', '1'];
    const { fired, faults } = await played(t, words);
    assert.deepEqual(faults, []);
    const { length } = fired.deeds.filter(({ kind }) => kind === 'arrive');
    assert.ok(length >= 3);
    assert.ok(fired.deeds.some(({ kind }) => kind === 'kill-coordinator'));
  });

  it('and ends although a worker stands still and never closes its connection', async (t) => {
    const folder = scratch(t);
    const run = join(folder, 'run');
    const cluster = new Cluster({
      ...{ hosts: await loopback(), run, logs: join(folder, 'logs'), small: true, nats: null },
      ...{ options: chaosOptions(method).method, workerData: null, paceMs: [150, 150] },
    });
    t.after(() => cluster.killAll());
    cluster.startCoordinator();
    cluster.startWorker(1);
    cluster.startWorker(2);
    const joined = new Set<string>();
    await eventsUntil(run, (event) => {
      if (event.kind === 'worker-joined') joined.add(event.worker);
      return joined.size === 2 && event.kind === 'step-committed';
    });
    cluster.stopWorker(2, 1e9);
    await cluster.done;
    assert.deepEqual(cluster.unexpected, []);
  });

  it('over a link that delays, loses and cuts half of the workers off', {
    skip: namespacesRefusal() ?? false,
  }, async (t) => {
    const none = ['--kills', '0', '--coordinator-kills', '0', '--stops', '0', '--drains', '0'];
    const link = ['--network', '--delay', '10', '--loss', '0.01', '--partition', '2'];
    const { fired, faults } = await played(t, [...none, '--joins', '0', ...link]);
    assert.deepEqual(faults, []);
    assert.ok(fired.packets !== null && fired.packets.lost > 0 && fired.packets.cut > 0);
  });
});
