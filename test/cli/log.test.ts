/** The log: JSON for collectors, sentences for people, and only what changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedDecisions } from '../../cli/decisions.ts';
import { openLog, parseLogLine, prettyLogLine } from '../../cli/log.ts';

const quietStep = (step: number): string[] => [
  `leased micro-batches 0–3 of step ${step} to a: its share of 2 workers`,
  `leased micro-batches 4–5 of step ${step} to b: its share of 2 workers`,
  `all 6 micro-batches of step ${step} are in`,
  `step ${step} is committed`,
];

test('what every step repeats is said once; what changes, and what comes back, is news', () => {
  const isNew = changedDecisions();
  const news = (lines: string[]): string[] => lines.filter((line) => isNew(line));
  assert.deepEqual(news(['a joined', ...quietStep(1)]), ['a joined', ...quietStep(1)]);
  for (let step = 2; step < 50; step += 1) assert.deepEqual(news(quietStep(step)), []);
  const alone = (step: number): string[] => [
    `leased micro-batches 0–3 of step ${step} to a: its share of 1 workers`,
    `all 6 micro-batches of step ${step} are in`,
    `step ${step} is committed`,
  ];
  assert.deepEqual(news(['b is gone', ...alone(50)]), ['b is gone', alone(50)[0]]);
  for (let step = 51; step < 60; step += 1) assert.deepEqual(news(alone(step)), []);
  assert.deepEqual(news(['b joined', ...quietStep(60)]), [
    'b joined',
    ...quietStep(60).slice(0, 2),
  ]);
});

test('sentences that never repeat take no more than a bounded memory', () => {
  const isNew = changedDecisions();
  for (let i = 0; i < 5000; i += 1) assert.ok(isNew(`lease ${i} of step ${i}`));
  assert.ok(isNew('lease 0 of step 5000'));
});

test('a line is JSON with whose it is, when and what; quiet without --verbose but for warnings', () => {
  const lines: string[] = [];
  const write = (line: string): unknown => lines.push(line);
  const open = (verbose: boolean) =>
    openLog({ program: 'worker', fields: { worker: 'w1' }, verbose, write });
  open(false).decision('nobody hears this');
  open(false).warn('away from the coordinator');
  open(false).info('all steps are committed');
  open(true).decision('leased micro-batch 0 of step 3');
  const [warning, end, decision] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(lines.length, 3);
  assert.equal(warning?.['level'], 'warn');
  assert.equal(end?.['level'], 'info');
  assert.equal(decision?.['level'], 'info');
  assert.deepEqual(
    [decision?.['program'], decision?.['worker'], decision?.['msg'], decision?.['pid']],
    ['worker', 'w1', 'leased micro-batch 0 of step 3', process.pid],
  );
  assert.match(String(decision?.['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('for people: time, who, what; text of a peer steers no terminal', () => {
  const lines: string[] = [];
  const log = openLog({
    program: 'coordinator',
    verbose: true,
    write: (line) => void lines.push(line),
  });
  log.decision('refused \u001b[2J "x"\nsecond line');
  const parsed = parseLogLine(lines[0] ?? '');
  assert.ok(parsed);
  assert.match(
    prettyLogLine(parsed, false),
    /^\d\d:\d\d:\d\d coordinator: refused \?\[2J "x" second/,
  );
  assert.doesNotMatch(prettyLogLine(parsed, false), /[\u0000-\u001f]/);
  assert.equal(parseLogLine('step 3 is committed'), null);
  assert.equal(parseLogLine('{"level":"info",'), null);
});
