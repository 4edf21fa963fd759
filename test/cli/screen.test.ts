/** The full screen of watch as text: fits its size, tells the run, and steers no terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame } from '../../cli/screen.ts';
import { lineText } from '../../cli/screen-line.ts';
import { linePlot, sparkline } from '../../cli/sparkline.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { emptySummary, fold, type RunSummary } from '../../shared/core/summary.ts';
import { pretendRun } from '../support/pretend-events.ts';

const foldAll = (events: readonly RunEvent[]): RunSummary => events.reduce(fold, emptySummary);

function middle(workers: readonly string[]): RunSummary {
  const run = pretendRun({ run: 'flowers', steps: 400, workers });
  const events = [...run.begin(), run.knn(0.374)];
  while (run.step < 120) events.push(run.committed());
  events.push(run.checkpoint(), run.left('worker-2'), run.moved('worker-2', 4, 2));
  while (run.step < 130) events.push(run.committed());
  return foldAll(events);
}

const text = (summary: RunSummary, columns: number, rows: number, quiet = 0): string[] =>
  frame(summary, { columns, rows }, quiet).map((line) => lineText(line, columns, false));

const crowd = Array.from({ length: 300 }, (_, i) => `worker-${i + 1}`);

test('a frame fits every screen, with one worker or three hundred, at any moment', () => {
  const summaries = [
    emptySummary,
    foldAll(pretendRun({ run: 'r', steps: 9, workers: [] }).begin()),
    middle(['worker-1', 'worker-2', 'worker-3']),
    middle(crowd),
  ];
  for (const summary of summaries)
    for (const [columns, rows] of [
      [80, 24],
      [200, 50],
      [40, 10],
      [20, 5],
      [300, 100],
    ] as const) {
      const lines = text(summary, columns, rows);
      assert.ok(lines.length <= rows, `${lines.length} lines on ${rows}`);
      for (const line of lines) assert.ok([...line].length <= columns, line);
    }
});

test('at 80 × 24 everything that matters is there', () => {
  const lines = text(middle(['worker-1', 'worker-2', 'worker-3']), 80, 24);
  const all = lines.join('\n');
  for (const part of [
    /flowers training/,
    /step 130\/400/,
    /img\/s/,
    /m\d\ds.* ± .* left/,
    /^ loss +[▁▂▃▄▅▆▇█]+ +−0\.\d{4}$/m,
    /^ std·√d +[▁▂▃▄▅▆▇█]+ +0\.\d\d$/m,
    /kNN +step 0: 37\.4 %/,
    /^ worker-1 +working +67% |^ worker-1 +working +67 % /m,
    /^ worker-2 +left/m,
    /worker-2 left: its connection is gone/,
    /micro-batches 4 to 5 taken from worker-2/,
    /q leaves; the training goes on/,
  ])
    assert.match(all, part);
});

test('colours are additions: without them the text is the same', () => {
  const summary = middle(['worker-1', 'worker-2', 'worker-3']);
  const lines = frame(summary, { columns: 100, rows: 30 }, 0);
  const coloured = lines.map((line) => lineText(line, 100, true).replaceAll(/\u001b\[\d+m/g, ''));
  assert.deepEqual(
    coloured,
    lines.map((line) => lineText(line, 100, false)),
  );
});

test('a hostile name steers no terminal, a stalled run is said, the end shows the digest', () => {
  const run = pretendRun({ run: 'r\u001b[2J', steps: 3, workers: ['w\u001b]0;x\u0007', 'a\nb'] });
  const events = [...run.begin(), run.committed()];
  for (const line of text(foldAll(events), 80, 24)) assert.doesNotMatch(line, /[\u0000-\u001f]/);
  assert.match(text(foldAll(events), 80, 24, 90).join('\n'), /no event for 1m30s: stalled/);
  assert.match(text(foldAll([...events, run.done()]), 100, 24).join('\n'), /digest bbbbbb/);
});

test('a sparkline is as wide as its values at most, flat in the middle, blank where unknown', () => {
  assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8), '▁▂▃▄▅▆▇█');
  assert.equal(sparkline([3, 3, 3], 10), '▅▅▅');
  assert.equal(sparkline([0, Number.NaN, 1], 3), '▁ █');
  assert.equal(sparkline([], 5), '');
  assert.equal(
    [
      ...sparkline(
        Array.from({ length: 999 }, (_, i) => i),
        40,
      ),
    ].length,
    40,
  );
  assert.equal(sparkline([0.5, 2], 2, [0, 1]), '▅█');
});

test('where there is room, curves are plots and each worker shows its latest steps', () => {
  const summary = middle(['worker-1', 'worker-2', 'worker-3']);
  const lines = text(summary, 200, 50);
  assert.ok(lines.filter((line) => /[\u2801-\u28ff]/.test(line)).length >= 10);
  for (const name of ['loss', 'std·√d: 1 healthy', 'images a second', 'learning rate'])
    assert.ok(
      lines.some((line) => line.includes(name)),
      name,
    );
  assert.match(lines.find((line) => line.startsWith(' worker-1')) ?? '', /█{20}/);
  assert.doesNotMatch(text(summary, 80, 24).join(''), /[\u2801-\u28ff]/);
});

test('after the end nobody works any more', () => {
  const run = pretendRun({ run: 'r', steps: 3, workers: ['worker-1', 'worker-2'] });
  const told = [...run.begin(), run.committed(), run.left('worker-2')];
  while (run.step < 3) told.push(run.committed());
  const all = text(foldAll([...told, run.done()]), 80, 24).join('\n');
  assert.match(all, /^ worker-1 finished/m);
  assert.match(all, /^ worker-2 left/m);
  assert.match(all, /1 worker, 1 gone/);
  assert.doesNotMatch(all, /working/);
});

test('a plot draws its ends, and one value or none', () => {
  const { rows, least, most } = linePlot([0, 1], 2, 2);
  assert.deepEqual([least, most], [0, 1]);
  assert.equal([...(rows[0] ?? '')].length, 2);
  assert.notEqual((rows[0] ?? '')[1], ' ');
  assert.notEqual((rows[1] ?? '')[0], ' ');
  assert.equal(linePlot([], 4, 2).rows.join('').trim(), '');
  assert.notEqual(linePlot([5], 4, 2).rows.join('').trim(), '');
});
