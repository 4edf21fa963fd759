/** `tandem report` as a command: what it refuses, what it names runs, what it leaves on the disk. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { namesOf } from '../../cli/report-runs.ts';
import { command } from '../support/command.ts';
import { pretendRun } from '../support/pretend-events.ts';
import { scratch } from '../support/processes.ts';

function pretended(t: TestContext): { folder: string; runs: string[] } {
  const folder = scratch(t);
  const runs = ['a', 'b'].map((above) => {
    const run = join(folder, above, '0001');
    mkdirSync(join(run, 'evaluations'), { recursive: true });
    const told = pretendRun({ run: '0001', steps: 5, workers: ['w'] });
    const events = [...told.begin(), told.committed(), told.committed()];
    writeFileSync(
      join(run, 'events.jsonl'),
      events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
    return run;
  });
  return { folder, runs };
}

test('a report of two runs: page, figures, event files; again, they are replaced', async (t) => {
  const { folder, runs } = pretended(t);
  const out = join(folder, 'x.html');
  const logs = join(folder, 'logs');
  const argv = ['report', ...runs, '--out', out, '--tensorboard', logs, '--json'];
  const first = await command(argv);
  assert.deepEqual([first.code, first.err], [0, '']);
  const { page, figures, tensorboard } = JSON.parse(first.out);
  assert.equal(page, out);
  assert.deepEqual(
    readdirSync(join(folder, 'x-figures')).sort(),
    figures.map((path: string) => path.slice(join(folder, 'x-figures/').length)).sort(),
  );
  assert.deepEqual(readdirSync(logs).sort(), ['a_0001', 'b_0001']);
  assert.equal(tensorboard.length, 2);
  assert.match(readFileSync(out, 'utf8'), /<title>2 runs<\/title>[\s\S]*a\/0001[\s\S]*b\/0001/);
  assert.equal((await command(argv)).code, 0);
  assert.equal(readdirSync(join(logs, 'a_0001')).length, 1);
});

test('what is no evaluation is left out and said', async (t) => {
  const { folder, runs } = pretended(t);
  writeFileSync(join(runs[0] ?? '', 'evaluations', 'x.json'), '{"version":1}');
  const out = join(folder, 'x.html');
  const ended = await command(['report', runs[0] ?? '', '--out', out]);
  assert.match(ended.err, /x\.json is no evaluation of this release \(another form\): left out/);
  assert.equal(ended.code, 0);
});

test('what it cannot do is refused before anything is written', async (t) => {
  const { folder, runs } = pretended(t);
  const [run = ''] = runs;
  for (const [argv, message, code] of [
    [[], /say which runs/, 64],
    [[run, run], /a run is named twice/, 64],
    [[run, '--out', join(folder, 'x.pdf')], /expects the name of an HTML file/, 64],
    [[run, '--out', join(folder, 'none', 'x.html')], /there is no folder/, 64],
    [[join(folder, 'a')], /is not a run folder.*\(run-missing\)/, 66],
    [Array.from({ length: 33 }, (_, i) => `r${i}`), /at most 32 runs/, 64],
  ] as const) {
    const ended = await command(['report', '--out', join(folder, 'y.html'), ...argv]);
    assert.match(ended.err, message);
    assert.equal(ended.code, code);
  }
  assert.deepEqual(readdirSync(folder).sort(), ['a', 'b']);
});

test('runs are named by as many parts of their paths as tell them apart', () => {
  assert.deepEqual(namesOf(['/x/a/0001', '/x/b/0001', '/x/c']), ['a/0001', 'b/0001', 'c']);
  assert.deepEqual(namesOf(['/x/0001']), ['0001']);
  assert.deepEqual(namesOf(['/r', '/x/r']), ['r', 'x/r']);
});
