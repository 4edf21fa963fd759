/**
 * A coordinator under attack for some seconds: memory stays within a bound and the run is the quiet
 * one to the byte. The long form is `npm run chaos -- --hostile`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratch } from '../support/processes.ts';
import { growthMost } from './bound.ts';
import { hostileRun } from './hostile-run.ts';

test('stalled readers, floods, fuzzed frames and calls that never end cost no memory and no bit', {
  timeout: 600_000,
  skip: process.platform === 'linux' ? false : 'resident memory is read from /proc',
}, async (t) => {
  const { rows, faults } = await hostileRun({
    folder: scratch(t),
    model: null,
    // Kept whole, images unread would be 3 GB and messages unfinished 480 MB.
    sizes: { sessions: 4, calls: 60, connections: 200, frames: 4000, heartbeats: 20_000 },
    only: [],
    holdMs: 0,
    restMs: 0,
    started: (child) => t.after(() => child.kill('SIGKILL')),
    onRow: ({ attack, said, peak }) =>
      t.diagnostic(`${attack}: ${Math.round(peak / 1e6)} MB at most; ${said}`),
  });
  assert.deepEqual(faults, []);
  const first = rows[0]?.before ?? 0;
  for (const { attack, peak, steps } of rows) {
    assert.ok(peak - first < growthMost, `${attack}: from ${first} to ${peak} bytes`);
    assert.ok(steps >= 2, `training goes on under ${attack}`);
  }
});
