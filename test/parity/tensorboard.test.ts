/**
 * Event files for TensorBoard against its own reader (tensorboard_read.py): every step of a run with a
 * rewind and a second life comes out as it should, and the bytes are the ones that were read.
 *
 * TANDEM_KEEP=DIR keeps what is written, for the script.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { folderName, writeTensorboard } from '../../cli/tensorboard.ts';
import type { EventBody, RunEvent } from '../../shared/core/events.ts';
import { pretendRun } from '../support/pretend-events.ts';

const fixture = JSON.parse(
  readFileSync(new URL('../../../test/parity/tensorboard.json', import.meta.url), 'utf8'),
) as { name: string; sha256: string; scalars: Record<string, [number, number, number][]> };

const base = mkdtempSync(join(tmpdir(), 'tandem-tensorboard-'));
after(() => rmSync(base, { recursive: true }));

/** Numbers that are binary fractions, so that no rounding hides a mistake. */
function told(): RunEvent[] {
  const run = pretendRun({ run: 'r', steps: 8, workers: ['w'], began: 1.79e12 });
  const events = [...run.begin(), run.knn(0.25)];
  const step = (at: number, loss: number): void => {
    const event = run.committed() as Extract<RunEvent, { kind: 'step-committed' }>;
    const time = new Date(1.79e12 + 1000 * (events.length + 1)).toISOString();
    const plain = { loss, std: 0.03125, learningRate: 0.5, epoch: at / 8, imagesPerSecond: 64 };
    events.push({ ...event, ...plain, time, step: at, seq: events.length + 1, workers: 1 });
  };
  for (const at of [1, 2, 3, 4]) step(at, -at / 16);
  const rewound: EventBody = { kind: 'rewound', from: 4, to: 2 } as EventBody;
  const at = { seq: events.length + 1, time: new Date(1.79e12 + 9000).toISOString(), step: 2 };
  events.push({ ...at, because: 'told', ...rewound });
  for (const again of [3, 4, 5]) step(again, -0.5 - again / 16);
  return events;
}

test('TensorBoard reads each step once, with its time, and not what was rewound', async () => {
  const run = join(base, 'run');
  mkdirSync(run);
  const events = told();
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  // A last line that was cut short.
  writeFileSync(join(run, 'events.jsonl'), `${lines}{"seq":99,"ki`);
  const out = process.env['TANDEM_KEEP'] ?? join(base, 'logs');
  const { signal } = new AbortController();
  const path = await writeTensorboard(out, 'a/run', run, [], signal);
  assert.equal(path, join(out, 'a_run', basename(path ?? '')));
  const bytes = readFileSync(path ?? '');
  assert.equal(createHash('sha256').update(bytes).digest('hex'), fixture.sha256);
  assert.equal(basename(path ?? ''), fixture.name);
  const losses = fixture.scalars['train/loss']?.map(([step, , loss]) => [step, loss]);
  assert.deepEqual(losses, [
    [1, -0.0625],
    [2, -0.125],
    [3, -0.6875],
    [4, -0.75],
    [5, -0.8125],
  ]);
  const root = Math.sqrt(2048);
  for (const [, , ratio] of fixture.scalars['train/std_ratio'] ?? [])
    assert.ok(Math.abs(ratio - 0.03125 * root) < 1e-6);
  assert.deepEqual(
    fixture.scalars['eval/knn_monitor']?.map(([step, , value]) => [step, value]),
    [[0, 0.25]],
  );
  const times = new Map(events.map((event) => [event.seq, Date.parse(event.time) / 1000]));
  assert.ok([...times.values()].includes(fixture.scalars['train/loss']?.[0]?.[1] ?? 0));
  // Asked again, the file is replaced and not joined by another.
  assert.equal(await writeTensorboard(out, 'a/run', run, [], signal), path);
  assert.equal(await writeTensorboard(out, 'none', join(base, 'absent'), [], signal), null);
});

test('names of runs become names of folders', () => {
  assert.deepEqual(['a/b', '..', 'flowers-50', 'Blüte 2', '<x>', ''].map(folderName), [
    'a_b',
    '_',
    'flowers-50',
    'Blüte 2',
    '_x_',
    '_',
  ]);
});
