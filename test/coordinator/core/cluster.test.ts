/** The two cores together in a fake world: hundreds of histories, one truth. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterResult, runCluster } from '../../support/core-cluster.ts';

const leafCounts = [1, 2, 3, 4, 5, 8, 12];
const worldSizes = [1, 2, 3, 4, 5];
const seedsEach = 8;
const steps = 4;

const add = (a: ClusterResult, b: ClusterResult): ClusterResult => ({
  committed: a.committed + b.committed,
  attempts: a.attempts + b.attempts,
  reductions: a.reductions + b.reductions,
  kills: a.kills + b.kills,
  duplicates: a.duplicates + b.duplicates,
  grays: a.grays + b.grays,
});

for (const leaves of leafCounts) {
  test(`whatever happens to the workers, ${leaves} leaves are summed once a step`, () => {
    let total: ClusterResult | null = null;
    for (const workers of worldSizes) {
      for (let i = 0; i < seedsEach; i += 1) {
        const seed = 1000 * leaves + 100 * workers + i;
        const result = runCluster({
          seed,
          leaves,
          workers,
          steps,
          kills: i,
          undecodable: i % 2 === 0 ? [] : ['1/0', `2/${leaves - 1}`],
        });
        assert.equal(result.committed, steps, `seed ${seed}`);
        total = total === null ? result : add(total, result);
      }
    }
    // The histories must have been eventful, or they prove nothing.
    assert.ok(total !== null && total.kills > 50, 'workers were killed');
    assert.ok(total.duplicates > 20, 'results came twice');
    assert.ok(total.grays > 10, 'samples turned gray');
    assert.ok(total.reductions > steps * worldSizes.length * seedsEach, 'a reduction broke');
  });
}

test('without faults each leaf is leased once', () => {
  for (const workers of worldSizes) {
    const result = runCluster({ seed: 7, leaves: 8, workers, steps: 3, kills: 0, undecodable: [] });
    assert.equal(result.committed, 3);
    assert.ok(result.attempts <= 8 * 3, `${result.attempts} leases for 24 leaves`);
    assert.equal(result.reductions, 3);
  }
});
