/**
 * The coordinator killed with SIGKILL where it could die in a run of 20 steps, restarted each time:
 * the digest and the ledger of the run that nobody disturbed, byte for byte, and a folder that
 * `verify` proves. Every point: `npm run chaos -- --crash-points`; here a seeded share of them.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Outcome } from './crash-run.ts';
import '../support/use-small-model.ts';

const { crashPoints, seededShare, sweep } = await import('./crash-points.ts');
const { crashRun, differenceOf, Standbys, steps } = await import('./crash-run.ts');
const { tinyPhotographs } = await import('../support/small-run.ts');

/** Under a minute on two quiet cores. */
const share = 0.05;
const seed = 1;
/** Points at which something was wrong once. */
const kept = [
  'before sync ledger.jsonl.tmp #1',
  'before write ledger.jsonl #11',
  'before sync . #12, power cut: lost',
  'before broadcast of a commit #12, power cut: mixed',
];

describe('a coordinator that dies anywhere', { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-crash-'));
  const standbys = new Standbys();
  let data = '';
  let quiet: Outcome;
  before(async () => {
    data = await tinyPhotographs(join(folder, 'data'), 30);
    quiet = await crashRun({ standbys, data, folder: join(folder, 'quiet'), aim: null });
  });
  after(() => {
    standbys.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has every append, fsync, rename, exclusive create and broadcast on its list', () => {
    const counted = (label: string) => quiet.counts.get(label) ?? 0;
    for (const label of ['write ledger.jsonl', 'datasync ledger.jsonl', 'broadcast of a commit'])
      assert.equal(counted(label), steps, label);
    assert.equal(counted('write warm/slot-0.bin') + counted('write warm/slot-1.bin'), 5 * steps);
    for (const label of ['create generations/00000001', 'rename ledger.jsonl', 'rename run.json'])
      assert.ok(counted(label) > 0, label);
    const names = crashPoints(quiet.counts, folder).map(({ name }) => name);
    assert.ok(names.length > 500);
    assert.equal(new Set(names).size, names.length);
  });

  it('ends with the bytes of the quiet run, verified, at a seeded share of all points', async () => {
    const all = crashPoints(quiet.counts, folder);
    const drawn = seededShare(all, share, seed);
    const points = all.filter((point) => drawn.includes(point) || kept.includes(point.name));
    for (const name of kept)
      assert.ok(
        points.some((point) => point.name === name),
        name,
      );
    const task = { points, quiet, data, folder, standbys, atOnce: 2, onPoint: () => undefined };
    const { run, failures } = await sweep(task);
    assert.equal(run, points.length);
    assert.deepEqual(failures, []);
  });

  it('tells a run that differs: the comparison can fail', () => {
    const ledger = Buffer.from(quiet.ledger);
    ledger[ledger.length - 5] = 48 + ((ledger[ledger.length - 5] ?? 0) % 2);
    assert.equal(differenceOf(quiet, quiet), null);
    assert.match(differenceOf({ ...quiet, digest: '' }, quiet) ?? '', /^digest/);
    assert.match(differenceOf({ ...quiet, ledger }, quiet) ?? '', /ledger/);
    assert.match(differenceOf({ ...quiet, checkpoints: [] }, quiet) ?? '', /^checkpoints/);
  });
});
