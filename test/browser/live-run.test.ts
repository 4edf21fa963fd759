/**
 * The dashboard of a real run in a real Chromium: a coordinator and three workers as processes, one
 * killed, one joining, the page asleep for a while. The small model with exact compute stands in
 * TensorFlow's place; coordinator, conversation, events and page are the shipped ones.
 *
 * TANDEM_SLEEP_SECONDS=30 sleeps longer than the test needs to.
 */
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../shared/core/events.ts';
import { phaseNames } from '../../shared/core/summary.ts';
import { openBrowser, shot, shows } from '../support/browser.ts';
import { judge, noBrowser } from '../support/chromium.ts';
import { addressOf, eventsUntil, scratch, startNode, type Tandem } from '../support/processes.ts';
import { smallModelPreload } from '../support/use-small-model.ts';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const bin = file('../../../cli/bin.js');
const worker = file('../chaos/chaos-worker.js');
const preload = ['--import', smallModelPreload];
const method = [
  ...[
    '--data',
    'synthetic:64',
    '--model',
    'resnet18-cifar',
    '--size',
    '8',
    '--batch',
    '12',
    '--micro-batch',
    '2',
  ],
  ...['--steps', '100000', '--checkpoint-every', '1000', '--seed', '5'],
];

/** The address of what the coordinator serves beside the training. */
async function announced(coordinator: Tandem, what: string): Promise<string> {
  for (;;) {
    const url = new RegExp(`${what}: (http:\\S+)`).exec(coordinator.out())?.[1];
    if (url !== undefined) return url;
    if (coordinator.process.exitCode !== null) throw new Error(coordinator.err());
    await sleep(20);
  }
}

const joins = (t: TestContext, address: string, name: string): Tandem => {
  const args = ['--exact', '--pace', '60', '--coordinator', address, '--name', name];
  return startNode(t, [...preload, worker, ...args]);
};

describe('the dashboard of a live run in Chromium', {
  skip: noBrowser,
  timeout: 600_000,
}, () => {
  const look = openBrowser();

  it('shows a killed worker and one that joins, and catches up after sleep', async (t) => {
    const run = join(scratch(t), 'live');
    const servers = ['--dashboard', '127.0.0.1:0', '--metrics', '127.0.0.1:0'];
    const args = ['coordinator', ...method, '--run', run, '--min-workers', '3', ...servers];
    const coordinator = startNode(t, [...preload, bin, ...args]);
    const address = await addressOf(coordinator);
    const [, victim] = ['worker-1', 'worker-2', 'worker-3'].map((id) => joins(t, address, id));
    const step = (wanted: number) =>
      eventsUntil(run, (event) => event.kind === 'step-committed' && event.step >= wanted);
    await step(10);
    const { page, faults, foreign } = await look(t, await announced(coordinator, 'dashboard'));
    const opened = (await lastOf(run)).seq;
    for (const id of ['worker-1', 'worker-2', 'worker-3']) await shows(page, id, 'working');

    victim?.process.kill('SIGKILL');
    const killMs = await shows(page, 'worker-2', 'left');
    joins(t, address, 'worker-4');
    const events = await eventsUntil(
      run,
      (event) => event.kind === 'worker-joined' && event.worker === 'worker-4',
    );
    const joinedAt = Date.parse(events.at(-1)?.time ?? '');
    await shows(page, 'worker-4', 'working');
    const joinMs = Date.now() - joinedAt;
    t.diagnostic(
      `shown: the kill ${killMs.toFixed(0)} ms after the signal, the new worker at work ` +
        `${joinMs.toFixed(0)} ms after the event of its join`,
    );
    await judge(page);
    await shot(page, 'live-run');

    // A page in the background that the browser has put to sleep hears nothing until it wakes.
    const browser = await page.context().newCDPSession(page);
    const shownStep = () =>
      page.evaluate(() => document.getElementById('figures')?.textContent ?? '');
    await page.selectOption('#kind', '*');
    await browser.send('Page.setWebLifecycleState', { state: 'frozen' });
    const asleep = await step((await lastOf(run)).step + 40);
    await sleep(1000 * Number(process.env['TANDEM_SLEEP_SECONDS'] ?? 0));
    await browser.send('Page.setWebLifecycleState', { state: 'active' });
    const reached = Math.max(asleep.at(-1)?.step ?? 0, (await lastOf(run)).step);
    await page.waitForFunction((least) => {
      const text = document.querySelector('#figures dd')?.textContent ?? '';
      return Number(text.replaceAll(',', '').split(' ')[0]) >= least;
    }, reached);
    assert.match(await shownStep(), /of 100,000/);
    const listed = await page.evaluate(() =>
      [...document.querySelectorAll('#events tbody tr td:first-child')].map((cell) =>
        Number(cell.textContent),
      ),
    );
    // What came before the page was opened is told by the summary.
    const shown = listed.filter((seq) => seq > opened);
    assert.ok(shown.length > 40);
    assert.deepEqual(
      shown,
      shown.map((_, i) => (shown[0] ?? 0) - i),
    );
    await phasesSumToSteps(t, run, await announced(coordinator, 'metrics'));
    assert.deepEqual([faults, foreign], [[], []]);
  });
});

/** The newest event in the file. */
async function lastOf(run: string): Promise<RunEvent> {
  const events = await readFile(join(run, 'events.jsonl'), 'utf8');
  // The last line may be under way.
  const whole = events.slice(0, events.lastIndexOf('\n')).split('\n');
  return JSON.parse(whole.at(-1) ?? '') as RunEvent;
}

/** The phases of a real run sum to its wall time, as events and as figures. */
async function phasesSumToSteps(t: TestContext, run: string, url: string): Promise<void> {
  const events = await eventsUntil(run, (event) => event.step >= 30);
  const steps = events.filter((event) => event.kind === 'step-committed');
  const [first, last] = [steps[0], steps.at(-1)];
  const wall = Date.parse(last?.time ?? '') - Date.parse(first?.time ?? '');
  const sum = steps
    .slice(1)
    .flatMap(({ phasesMs }) => phaseNames.map((name) => phasesMs?.[name] ?? Number.NaN))
    .reduce((a, b) => a + b, 0);
  t.diagnostic(`phases of ${steps.length - 1} steps sum to ${((100 * sum) / wall).toFixed(2)} %`);
  assert.ok(Math.abs(sum / wall - 1) < 0.03, `phases ${sum} ms, wall ${wall} ms`);
  const text = await (await fetch(url)).text();
  const figures = [...text.matchAll(/^tandem_phase_seconds_total\{.*\} (\S+)$/gm)];
  const total = figures.reduce((all, [, value]) => all + Number(value), 0);
  const heard = Number(/^tandem_step_seconds_sum (\S+)$/m.exec(text)?.[1]);
  assert.ok(Math.abs(total / heard - 1) < 0.03, `phases ${total} s, steps ${heard} s`);
}
