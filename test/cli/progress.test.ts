/**
 * What a run looks like while it goes on and at its end, as transcripts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytes,
  count,
  duration,
  printable,
  rate,
  signed,
  table,
} from '../../shared/core/format.ts';
import { terminalOf } from '../../cli/io.ts';
import { Progress, statusLine } from '../../cli/progress.ts';
import { nextCommand, resultBlock, resultObject } from '../../cli/result.ts';
import type { EventBody, RunEvent } from '../../shared/core/events.ts';
import { emptySummary, fold, type RunSummary } from '../../shared/core/summary.ts';

let seq = 0;
function told(step: number, body: EventBody, because = 'told'): RunEvent {
  seq += 1;
  const time = new Date(Date.UTC(2026, 0, 1, 12, 0, step)).toISOString();
  return { seq, time, step, because, ...body };
}

function committed(step: number, loss: number): RunEvent {
  return told(step, {
    kind: 'step-committed',
    epoch: step / 10,
    loss,
    std: 0.0215,
    learningRate: 0.01,
    imagesPerSecond: 64,
    workers: 2,
    record: 'r',
  });
}

function story(): RunEvent[] {
  seq = 0;
  return [
    told(0, {
      kind: 'run-opened',
      version: 1,
      run: '0007',
      generation: 1,
      totalSteps: 20,
      stopAt: null,
      images: 640,
      batch: 64,
      microBatch: 32,
      model: 'resnet18',
      outputWidth: 2048,
      data: 'synthetic',
    }),
    told(0, {
      kind: 'worker-joined',
      worker: 'w1',
      pid: 11,
      host: 'here',
      device: 'CPU, 1 thread',
    }),
    told(0, { kind: 'worker-joined', worker: 'w2', pid: 12, host: 'here', device: 'CPU' }),
    told(0, {
      kind: 'knn-measured',
      accuracy: 0.374,
      standardError: 0.021,
      queries: 96,
      references: 544,
    }),
    committed(1, -0.01),
    committed(2, -0.05),
    told(2, { kind: 'lease-moved', first: 1, count: 1, from: 'w2' }, 'its worker is gone'),
    told(2, { kind: 'worker-left', worker: 'w2' }, 'its stream closed'),
    committed(3, -0.1),
    committed(20, -0.6312),
    told(20, {
      kind: 'checkpoint-saved',
      checkpoint: 'checkpoints/step-00000020',
      digest: 'ab'.repeat(32),
      bytes: 74_200_000,
    }),
    told(20, {
      kind: 'knn-measured',
      accuracy: 0.547,
      standardError: 0.021,
      queries: 96,
      references: 544,
    }),
    told(20, {
      kind: 'run-done',
      stopped: false,
      loss: -0.6312,
      std: 0.0215,
      digest: 'ab'.repeat(32),
      checkpoint: 'checkpoints/step-00000020',
    }),
  ];
}

function draw(events: readonly RunEvent[], live: boolean, columns = 100): string {
  const written: string[] = [];
  let clock = 0;
  const output = { write: (text: string) => written.push(text), columns };
  const progress = new Progress({ output, live, colour: false, now: () => clock });
  for (const event of events) {
    progress.event(event);
    clock += 1000;
  }
  progress.finish();
  return written.join('');
}

const folded = (events: readonly RunEvent[]): RunSummary => events.reduce(fold, emptySummary);

test('plain lines: each notable event, and a step a tenth of the way or five seconds', () => {
  assert.equal(
    draw(story(), false),
    [
      'run 0007 opened: resnet18, 640 images, batch 64 = 2 × 32, 20 steps',
      'w1 joined: CPU, pid 11 on here',
      'w2 joined: CPU, pid 12 on here',
      'kNN accuracy at step 0: 37.4 % ± 2.1 (96 queries among 544)',
      '░░░░░░░░░░░░  step 1/20  epoch 0.1/2  loss −0.0100  std·√d 0.97  64 img/s  2 workers  19s left',
      '█░░░░░░░░░░░  step 2/20  epoch 0.2/2  loss −0.0500  std·√d 0.97  64 img/s  2 workers  18s left',
      'micro-batch 1 taken from w2: its worker is gone',
      'w2 left: its stream closed',
      '████████████  step 20/20  epoch 2/2  loss −0.6312  std·√d 0.97  64 img/s  2 workers  0s left',
      'checkpoint checkpoints/step-00000020 (74.2 MB), abababababab',
      'kNN accuracy at step 20: 54.7 % ± 2.1 (96 queries among 544)',
      '',
    ].join('\n'),
  );
});

test('the live line is redrawn in place and leaves nothing behind', () => {
  const text = draw(story(), true);
  const screen = play(text);
  assert.deepEqual(screen.at(-1), '');
  assert.ok(screen.includes('w2 left: its stream closed'));
  assert.ok(!screen.some((line) => line.includes('img/s')), screen.join('\n'));
  assert.ok(text.includes('step 3/20'), 'every step is drawn while it lasts');
});

/** What a terminal shows after this text: carriage return and erase-line obeyed. */
function play(text: string): string[] {
  const lines = [''];
  for (const part of text.split(/(\r\u001b\[2K|\n)/)) {
    if (part === '\n') lines.push('');
    else if (part === '\r\u001b[2K') lines[lines.length - 1] = '';
    else lines[lines.length - 1] += part;
  }
  return lines;
}

test('the status line never passes the width and keeps step and loss longest', () => {
  const summary = folded(story().slice(0, 9));
  for (let width = 1; width <= 120; width += 1) {
    assert.ok(statusLine(summary, width).length <= width, `at ${width}`);
  }
  assert.equal(statusLine(summary, 30), 'step 3/20  loss −0.1000');
  assert.equal(statusLine(summary, 45), 'step 3/20  loss −0.1000  64 img/s  17s left');
});

test('before the first step it says what is waited for', () => {
  assert.equal(statusLine(emptySummary, 80), 'opening the run, 0 workers');
  assert.equal(statusLine(folded(story().slice(0, 3)), 80), 'first step under way, 2 workers');
});

test('colour and redrawing need a terminal, and NO_COLOR is obeyed', () => {
  const tty = { write: () => true, isTTY: true };
  assert.deepEqual(terminalOf(tty, {}), { live: true, colour: true });
  assert.deepEqual(terminalOf(tty, { NO_COLOR: '1' }), { live: true, colour: false });
  assert.deepEqual(terminalOf(tty, { TERM: 'dumb' }), { live: false, colour: false });
  assert.deepEqual(terminalOf({ write: () => true }, {}), { live: false, colour: false });
});

const around = {
  run: 'runs/0007',
  program: 'npx tandem',
  lossPicture: 'runs/0007/loss.svg',
  chance: { classes: 5, share: 0.2 },
};

test('the closing block says what came out, what is healthy and what to try next', () => {
  assert.equal(
    resultBlock(folded(story()), around),
    [
      'Done: 20 steps, 2 epochs, 64 img/s, 20s',
      '',
      '  loss          −0.6312                      from 0 down to −1',
      '  std·√d        0.97                         healthy: near 1; 0 is collapse',
      '  kNN accuracy  37.4 % ± 2.1 → 54.7 % ± 2.1  guessing among 5: 20.0 %',
      '  checkpoint    runs/0007/checkpoints/step-00000020',
      `  digest        ${'ab'.repeat(32)}`,
      '  loss curve    runs/0007/loss.svg',
      '',
      'Next: npx tandem train --data YOUR_PHOTOS --size 64 --epochs 20 --knn',
      '',
    ].join('\n'),
  );
});

test('a stopped run says how to go on, a collapsed one that it collapsed', () => {
  const events = story();
  const last = events.at(-1) as RunEvent & { kind: 'run-done' };
  const stopped = folded([...events.slice(0, -1), { ...last, stopped: true, std: 0 }]);
  const block = resultBlock(stopped, { ...around, run: 'runs/my run' });
  assert.match(block, /^Stopped at step 20 of 20/);
  assert.match(block, /std·√d +0.00 +collapsed/);
  assert.match(block, /Next: npx tandem train --run 'runs\/my run'\n$/);
  assert.equal(
    nextCommand({ ...stopped, result: null, data: '/d' }, around),
    'npx tandem digest runs/0007',
  );
});

test('the JSON result has its eight fields', () => {
  const object = resultObject(folded(story()), 'runs/0007');
  const fields = 'step epoch loss std imagesPerSecond digest checkpoint run';
  assert.equal(Object.keys(object).join(' '), fields);
  assert.deepEqual([object['step'], object['loss'], object['run']], [20, -0.6312, 'runs/0007']);
  assert.ok(Object.values(object).every((value) => value !== null && value !== undefined));
});

test('numbers are written as people read them', () => {
  assert.deepEqual([0, 8.4, 59.6, 192, 7500, 273_600, Number.NaN].map(duration), [
    '0s',
    '8s',
    '1m00s',
    '3m12s',
    '2h05m',
    '3d04h',
    'unknown',
  ]);
  assert.deepEqual([0.417, 4.17, 41.7, 417, 4170].map(rate), ['0.42', '4.2', '42', '417', '4,170']);
  assert.deepEqual(
    [-0.63115, 0.5, -0.00001].map((x) => signed(x)),
    ['−0.6311', '0.5000', '0.0000'],
  );
  assert.deepEqual([0, 999, 12_288, 1_234_567].map(count), ['0', '999', '12,288', '1,234,567']);
  assert.deepEqual([0, 999, 74_200_000].map(bytes), ['0 B', '999 B', '74.2 MB']);
  assert.equal(
    table([
      ['a', 'bb'],
      ['ccc', 'd'],
    ]),
    'a    bb\nccc  d',
  );
  assert.equal(printable('a\u001b[31mb\u0007'), 'a?[31mb?');
});
