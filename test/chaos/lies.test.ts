/**
 * A worker that computes wrongly now and then, in real processes: it is found, and nothing of what
 * it did is left. Lies are frequent here; `npm run chaos -- --lies` takes them rare.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { scratch } from '../support/processes.ts';
import { type LiesEnded, type LiesOptions, liesRun, tale } from './lies.ts';
import { differences } from './outcome.ts';

const method = { data: 'synthetic:64', steps: 40, leaves: 8 };
const folder = mkdtempSync(join(tmpdir(), 'tandem-lies-'));
let quiet: LiesEnded;

const played = (t: TestContext, some: Partial<LiesOptions>): Promise<LiesEnded> =>
  liesRun({
    ...method,
    ...{ run: join(scratch(t), 'run'), workers: 4, audit: 0, share: 0, seed: 1 },
    started: (child) => t.after(() => child.kill('SIGKILL')),
    ...some,
  });

describe('a worker that lies', { concurrency: 1, timeout: 600_000 }, () => {
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is compared with a quiet run of one worker', async (t) => {
    quiet = await played(t, { run: join(folder, 'quiet'), workers: 1 });
    assert.equal(quiet.outcome.fault, null);
  });

  it('alone changes the result', async (t) => {
    const { outcome } = await played(t, { share: 0.1, workers: 1 });
    assert.notEqual(outcome.digest, quiet.outcome.digest);
  });

  it('is found before the commit with --audit 1: nothing is ever computed again', async (t) => {
    const { outcome, events, aside } = await played(t, { share: 0.1, audit: 1 });
    const { convicted, rewound } = tale(events);
    assert.deepEqual(differences(outcome, quiet.outcome), []);
    assert.deepEqual(
      convicted.map(({ worker }) => worker),
      ['worker-1'],
    );
    assert.deepEqual([rewound, aside], [[], []]);
  });

  it('is found later below that: its branch is kept aside, the ledger ends as the clean one', async (t) => {
    // Half of its leaves, so that some are committed before one is met by an audit.
    const { outcome, events, aside } = await played(t, { share: 0.5, audit: 0.04 });
    assert.deepEqual(differences(outcome, quiet.outcome), []);
    const told = tale(events);
    assert.equal(told.convicted.length, 1);
    for (const { from, to } of told.rewound) assert.ok(to < from);
    for (const { file, worker, because } of told.aside) {
      assert.ok(aside.includes(file));
      assert.equal(worker, 'worker-1');
      assert.match(because, /is not what worker-1 made of it/);
    }
  });
});
