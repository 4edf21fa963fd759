/** Measures while training goes on, and the collapse monitor: told once, and nothing waits on it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lowStepsMax } from '../../../coordinator/core/collapse.ts';
import { monitorIsDue } from '../../../coordinator/core/survey.ts';
import { all, drive, type Drive, one, planOf, told } from '../../support/core-drive.ts';

/** Works the open step to its commit; the effects of the commit. */
function step(run: Drive, std = 0.02) {
  const { step: open } = run.state;
  while (run.leaseOf('a') !== '-') run.finish('a', { std });
  run.send({ kind: 'reduced', step: open });
  return run.send({ kind: 'committed', step: open });
}

test('with --monitor-every 2 every second step is followed by a survey, then by the next step', () => {
  const run = drive({ leaves: 1, totalSteps: 5, samples: 60, monitorEvery: 2 });
  run.join('a');
  assert.equal(all(step(run), 'survey-lease').length, 0);
  const due = step(run);
  assert.equal(one(due, 'survey-lease').chunk, 0);
  assert.equal(all(due, 'lease').length, 0, 'training waits');
  const of = { worker: 'a', generation: 3, step: 2, chunk: 0 };
  assert.equal(
    one(run.send({ kind: 'features-ready', work: 'features', ...of }), 'use-survey').work,
    'features',
  );
  assert.equal(one(run.send({ kind: 'survey-used' }), 'lease').step, 2);
  step(run);
  assert.equal(all(step(run), 'survey-lease').length, 1);
});

test('who was late with the step before is free for the survey', () => {
  const run = drive({ leaves: 1, totalSteps: 5, samples: 60, monitorEvery: 1 });
  run.join('a');
  run.finish('a');
  const late = run.state.workers['a'];
  assert.ok(late);
  // An opinion on a micro-batch that is settled without it: its result will not be heard of again.
  late.lease = { first: 0, end: 1, attempt: 9, done: 0, progressAt: 0, overdue: true, check: true };
  run.send({ kind: 'reduced', step: 0 });
  const committed = run.send({ kind: 'committed', step: 0 });
  assert.equal(one(committed, 'survey-lease').worker, 'a');
});

test('what is due: the beginning, every so many steps, nothing where nothing was asked', () => {
  const due = (some: Parameters<typeof planOf>[0]) =>
    [0, 1, 4, 6, 8].filter((at) => monitorIsDue(planOf(some), at));
  assert.deepEqual(due({}), []);
  assert.deepEqual(due({ knn: true }), [0]);
  assert.deepEqual(due({ monitorEvery: 4 }), [0, 4, 8]);
});

test('the last step is measured with --monitor-every, once', () => {
  const run = drive({ leaves: 1, totalSteps: 2, samples: 60, monitorEvery: 2 });
  run.join('a');
  step(run);
  assert.equal(one(step(run), 'final-checkpoint').kind, 'final-checkpoint');
  assert.equal(all(run.send({ kind: 'final-checkpoint-saved' }), 'survey-lease').length, 1);
});

test('a std that stays near 0 is told once, and again after it had recovered', () => {
  const totalSteps = 5 * lowStepsMax;
  const run = drive({ leaves: 2, totalSteps, outputWidth: 2048 });
  run.join('a');
  const warnings = (std: number, steps: number) =>
    Array.from({ length: steps }, () => told(step(run, std)))
      .flat()
      .filter((body) => body.kind === 'warning');
  assert.deepEqual(warnings(0.001, lowStepsMax - 1), []);
  assert.deepEqual(warnings(0.022, 1), [], 'a healthy step in between begins anew');
  const [warning, ...more] = warnings(0.001, 2 * lowStepsMax);
  assert.equal(warning?.code, 'collapse');
  assert.match(warning?.message ?? '', /std·√d .* 0\.045 .*--learning-rate/s);
  assert.deepEqual(more, []);
  assert.deepEqual(warnings(0.022, 1), []);
  assert.equal(warnings(0.001, lowStepsMax).length, 1);
});
