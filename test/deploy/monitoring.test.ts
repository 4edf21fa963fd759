/** What rules and dashboard name exists; the figures and the rules hold before promtool. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type MetricsView, runMetrics, serveMetrics } from '../../coordinator/shell/metrics.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { emptySummary, fold, type RunSummary } from '../../shared/core/summary.ts';
import { pretendRun } from '../support/pretend-events.ts';

const folder = fileURLToPath(new URL('../../../deploy/monitoring/', import.meta.url));
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

function onPath(name: string): string | null {
  for (const place of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      accessSync(join(place, name), constants.X_OK);
      return join(place, name);
    } catch {
      // Not there.
    }
  }
  return null;
}
const promtool = process.env['TANDEM_PROMTOOL'] ?? onPath('promtool');
if (promtool === null && process.env['CI'] === 'true')
  throw new Error('CI needs promtool: it is not on PATH and TANDEM_PROMTOOL is not set');
const skip = promtool === null ? 'no promtool on PATH' : false;

let summary: RunSummary = emptySummary;
const view: MetricsView = {
  summary: () => summary,
  bytes: () => ({ 'gradients-in': 5, 'weights-out': 6, 'samples-out': 7 }),
  workers: () => ({ joining: 0, idle: 1, computing: 2, surveying: 0, suspect: 0, draining: 0 }),
  microBatches: () => ({ open: 3, leased: 4 }),
  eventLag: () => 2,
  now: () => Date.parse(summary.lastAt ?? '') / 1000 + 60,
};
const metrics = runMetrics(view);
const told = pretendRun({ run: 'r', steps: 100, workers: ['<script>', 'w2'] });
const events = [...told.begin(), told.committed(), told.checkpoint(), told.moved('w2', 0, 2)];
while (told.step < 50) events.push(told.committed());
events.push(told.convicted('w2', 5), { ...told.knn(0.5), stdRatio: 0.9 } as RunEvent);
for (const event of events) {
  summary = fold(summary, event);
  metrics.event(event);
}

test('every metric that rules and dashboard name is there', async () => {
  const text = await metrics.registry.metrics();
  const there = new Set([...text.matchAll(/^(\w+)(?:\{| )/gm)].map(([, name]) => name));
  for (const file of ['rules.yaml', 'rules.test.yaml', 'grafana.json']) {
    const exprs = file === 'rules.yaml' ? read(file).replaceAll(/action:.*/g, '') : read(file);
    const named = [...exprs.matchAll(/\btandem_\w+/g)].map(([name]) => name);
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter((name) => !there.has(name)),
      [],
      file,
    );
  }
});

test('the figures are those of the summary, and the phases sum to the steps', async () => {
  const text = await metrics.registry.metrics();
  const value = (name: string) =>
    Number(
      text
        .split('\n')
        .find((l) => l.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  assert.equal(value('tandem_step'), 50);
  assert.equal(value('tandem_images_total'), 50 * 128);
  assert.equal(value('tandem_micro_batches_moved_total'), 2);
  assert.equal(value('tandem_events_unpublished'), 2);
  assert.equal(value('tandem_micro_batches_audited_total'), 50);
  assert.equal(value('tandem_convictions_total'), 1);
  assert.deepEqual([value('tandem_knn_accuracy'), value('tandem_knn_std_ratio')], [0.5, 0.9]);
  assert.equal(value('tandem_worker_joins_total'), 2);
  assert.ok(value('tandem_checkpoint_age_seconds') > 60);
  const phases = [...text.matchAll(/^tandem_phase_seconds_total\{.*\} (\S+)$/gm)];
  const sum = phases.reduce((all, [, ms]) => all + Number(ms), 0);
  assert.equal(phases.length, 7);
  assert.ok(Math.abs(sum / value('tandem_step_seconds_sum') - 1) < 0.03);
  // Twice the same: a scrape adds nothing.
  const again = (await metrics.registry.metrics()).match(/^tandem_images_total .*$/m)?.[0];
  assert.equal(again, 'tandem_images_total 6400');
});

test('no label holds a name that somebody else chose', async () => {
  assert.doesNotMatch(await metrics.registry.metrics(), /<script|"w2"/);
});

test('only /metrics is served', async (t) => {
  const server = await serveMetrics(metrics.registry, { host: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  assert.match(await (await fetch(server.url)).text(), /^tandem_step 50$/m);
  assert.equal((await fetch(new URL('/', server.url))).status, 404);
  assert.equal((await fetch(server.url, { method: 'POST' })).status, 404);
});

test('promtool finds no fault in the figures', { skip }, async () => {
  const text = await metrics.registry.metrics();
  execFileSync(promtool ?? '', ['check', 'metrics'], { input: text, stdio: 'pipe' });
});

test('the rules are rules, and each fires when it should', { skip }, () => {
  const options = { cwd: folder, stdio: 'pipe' } as const;
  execFileSync(promtool ?? '', ['check', 'rules', 'rules.yaml'], options);
  execFileSync(promtool ?? '', ['test', 'rules', 'rules.test.yaml'], options);
});
