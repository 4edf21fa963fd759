/**
 * Drawn histories of one fully audited step with a worker that lies: whatever was lost, silent, come
 * back or hostile on the way, nothing that it computed wrongly is part of the sum that is committed,
 * and the step ends.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect, FinishedNode } from '../../../coordinator/core/state.ts';
import { all, connectedEvent, type Drive, drive, stages } from '../../support/core-drive.ts';
import { diceOf } from '../../support/draws.ts';

const histories = 4000;
const liar = 'w0';

/** What the shell would have summed since the sum was last thrown away. */
function summing(run: Drive) {
  let parts: FinishedNode[] = [];
  const seen: Effect[] = [];
  return {
    get parts() {
      return parts;
    },
    seen,
    see(effects: Effect[]): void {
      seen.push(...effects);
      for (const effect of effects) {
        if (effect.kind === 'discard-reduce') parts = [];
        if (effect.kind === 'reduce') parts = [...parts, ...effect.nodes];
      }
      for (const { worker } of all(effects, 'refuse'))
        assert.equal(run.state.workers[worker], undefined);
    },
  };
}

for (const audit of [0, 1])
  test(`nothing that was computed wrongly is committed, in ${histories} histories with audit ${audit}`, () => {
    let convictions = 0;
    let discards = 0;
    for (let seed = 0; seed < histories; seed += 1) {
      const dice = diceOf(seed, audit);
      const leaves = dice.whole(2, 5);
      const names = Array.from({ length: dice.whole(3, 5) }, (_, i) => `w${i}`);
      const run = drive({ leaves, minWorkers: names.length, audit });
      const sum = summing(run);
      const send: Drive['send'] = (event) => {
        const effects = run.send(event);
        sum.see(effects);
        return effects;
      };
      const liarReturns = dice.chance(0.5);
      const wrongLeaf = dice.whole(0, leaves - 1);
      for (const name of names) sum.see(run.join(name));
      const finish = (worker: string) => {
        const lease = run.state.workers[worker]?.lease;
        if (!lease) return;
        const lies = worker === liar && lease.first <= wrongLeaf && wrongLeaf < lease.end;
        sum.see(run.finish(worker, lies ? { leafHash: 'wrong' } : {}));
      };
      const comeBack = (worker: string) => {
        send(connectedEvent(worker));
        if (run.state.workers[worker] === undefined) return;
        send({ kind: 'worker-ready', worker, stages, description: '', held: [] });
      };
      const over = () => sum.seen.some(({ kind }) => kind === 'commit' || kind === 'fail');
      for (let i = 0; i < 40 && !over(); i += 1) {
        const worker = dice.oneOf(names);
        const { phase, step } = run.state;
        const act = dice.whole(0, 9);
        if (act < 5) finish(worker);
        else if (act === 5) send({ kind: 'worker-lost', worker, reason: 'drawn' });
        else if (act === 6) comeBack(worker);
        else if (act === 7) run.now += dice.whole(0, 9000);
        else if (act === 8) send({ kind: 'tick' });
        else if (phase === 'reducing' && dice.chance(0.5)) {
          const hostile = worker === liar && dice.chance(0.5);
          send({ kind: 'reduce-broken', step, worker, reason: 'drawn', hostile });
        } else if (phase === 'reducing') send({ kind: 'reduced', step });
      }
      // Then nothing more goes wrong: whoever may come back does, but perhaps the liar.
      for (let i = 0; i < 200 && !over(); i += 1) {
        for (const worker of names) {
          const gone = run.state.workers[worker] === undefined;
          if (gone && (worker !== liar || liarReturns)) comeBack(worker);
          if (run.state.workers[worker] === undefined) continue;
          send({ kind: 'heartbeat', worker, attempt: 0, done: 0 });
          finish(worker);
        }
        if (run.state.phase === 'reducing') send({ kind: 'reduced', step: 0 });
      }
      const where = `history ${seed}: ${run.state.phase}`;
      assert.ok(over(), `it never ends, ${where}`);
      convictions += all(sum.seen, 'review').length;
      discards += all(sum.seen, 'discard-reduce').length;
      if (all(sum.seen, 'commit').length === 0) continue;
      const known = sum.seen.some(({ kind }) => kind === 'review') || audit === 1;
      if (!known) continue;
      for (const { worker, leaves: reports } of sum.parts)
        for (const { leafHash } of reports)
          assert.notEqual(leafHash, 'wrong', `${worker} is part of the sum, ${where}`);
    }
    assert.ok(convictions > histories / 20, `only ${convictions} convictions`);
    assert.ok(discards > histories / 50, `only ${discards} sums were thrown away`);
  });
