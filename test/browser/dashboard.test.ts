/**
 * The dashboard in a real Chromium: a kill and a join, a server that goes away and comes back, a
 * long run, hostile names, the keyboard, axe; light, dark and on a phone. Events are made up here;
 * `live-run.test.ts` looks at a real run.
 */
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { RunEvent } from '../../shared/core/events.ts';
import { openBrowser, shot, shows } from '../support/browser.ts';
import { judge, noBrowser } from '../support/chromium.ts';
import { freePort } from '../support/nats-server.ts';
import { pretendRun } from '../support/pretend-events.ts';
import { scratch, startTandem, type Tandem } from '../support/processes.ts';

const write = (run: string, events: readonly RunEvent[]): void => {
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, 'events.jsonl'), lines(events));
};
const lines = (events: readonly RunEvent[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');

async function serving(
  t: TestContext,
  run: string,
  port = 0,
): Promise<{ url: string; server: Tandem }> {
  const server = startTandem(t, ['dashboard', run, '--listen', `127.0.0.1:${port}`]);
  for (;;) {
    const url = /(http:\S+)/.exec(server.out())?.[1];
    if (url !== undefined) return { url, server };
    if (server.process.exitCode !== null) throw new Error(server.err());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the dashboard in Chromium', {
  skip: noBrowser,
  timeout: 600_000,
  concurrency: 1,
}, () => {
  const look = openBrowser();

  it('a run told live: a kill and a join are shown, an outage of the server leaves no gap', async (t) => {
    const run = join(scratch(t), 'live');
    const told = pretendRun({
      ...{ run: 'live', steps: 2000, workers: ['worker-1', 'worker-2', 'worker-3'] },
      began: Date.now() - 100_000,
    });
    const events = [...told.begin(), told.knn(0.374)];
    while (told.step < 120) events.push(told.committed());
    write(run, events);
    const append = (more: readonly RunEvent[]) =>
      appendFileSync(join(run, 'events.jsonl'), lines(more));
    const port = await freePort();
    const first = await serving(t, run, port);
    const { page, faults, foreign } = await look(t, first.url);
    assert.equal(await page.locator('#workers tbody tr').count(), 3);
    await shows(page, 'worker-2', 'working');

    append([told.left('worker-2'), told.moved('worker-2', 4, 2), told.committed()]);
    const killMs = await shows(page, 'worker-2', 'left');
    append([told.joined('worker-4')]);
    const joinMs = await shows(page, 'worker-4', 'joined');
    t.diagnostic(
      `a kill was shown after ${killMs.toFixed(0)} ms, a join after ${joinMs.toFixed(0)} ms`,
    );
    append([told.committed()]);
    await shows(page, 'worker-4', 'working');

    // Away while much and while little happens: once a summary, once the events themselves.
    for (const count of [800, 60]) {
      first.server.process.kill('SIGTERM');
      await first.server.ended;
      append(Array.from({ length: count }, () => told.committed()));
      Object.assign(first, await serving(t, run, port));
      await page.waitForFunction(
        (step) => document.getElementById('figures')?.textContent?.includes(step),
        `${told.step.toLocaleString('en-US')} of`,
      );
    }
    await page.selectOption('#kind', '*');
    const seqs = await page.locator('#events tbody tr td:first-child').allTextContents();
    const latest = seqs.slice(0, 60).map(Number);
    assert.deepEqual(
      latest,
      Array.from({ length: 60 }, (_, i) => (latest[0] ?? 0) - i),
    );
    await page.selectOption('#kind', '');
    assert.match((await page.locator('#timeline svg').getAttribute('aria-label')) ?? '', /workers/);
    await judge(page);
    await shot(page, 'light');
    assert.deepEqual([faults, foreign], [[], []]);
  });

  it('dark and on a phone: nothing is cut off, and axe finds nothing serious', async (t) => {
    const run = join(scratch(t), 'r');
    const told = pretendRun({ run: 'flowers', steps: 400, workers: ['worker-1', 'worker-2'] });
    const events = [...told.begin(), told.knn(0.374)];
    while (told.step < 300) events.push(told.committed());
    write(run, [...events, told.knn(0.547), told.checkpoint(), told.done()]);
    const { url } = await serving(t, run);
    const dark = await look(t, url, { colorScheme: 'dark' });
    await judge(dark.page);
    await shot(dark.page, 'dark');
    const phone = { viewport: { width: 360, height: 740 }, isMobile: true, deviceScaleFactor: 2 };
    const small = await look(t, url, phone);
    await judge(small.page);
    await shot(small.page, 'phone');
    const over = await small.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.ok(over <= 0, `the page is ${over} pixels wider than the phone`);
    // A curve is read by keyboard.
    const curve = dark.page.locator('#curves figure').first();
    await curve.focus();
    await dark.page.keyboard.press('Home');
    assert.match(await curve.locator('output').innerText(), /^step 1: /);
    assert.deepEqual([...dark.faults, ...small.faults], []);
  });

  it('a worker named <script> is a name', async (t) => {
    const run = join(scratch(t), 'r');
    const hostile = '<script>globalThis.pwned=1</script>';
    const told = pretendRun({
      ...{ run: '<img src=x onerror="globalThis.pwned=1">', steps: 9, workers: [hostile] },
    });
    const events = [...told.begin(), told.committed(), told.left(hostile)];
    write(run, events);
    const { page, faults } = await look(t, (await serving(t, run)).url);
    assert.equal(await page.locator('#workers tbody th').first().innerText(), hostile);
    await page.locator('#events td.text', { hasText: '<script>globalThis' }).first().waitFor();
    assert.equal(await page.evaluate(() => 'pwned' in globalThis), false);
    assert.deepEqual(faults, []);
  });

  it('fifty thousand steps open at once', async (t) => {
    const run = join(scratch(t), 'long');
    const workers = Array.from({ length: 8 }, (_, i) => `worker-${i + 1}`);
    const told = pretendRun({ run: 'long', steps: 50_000, workers });
    const events = told.begin();
    while (told.step < 50_000) events.push(told.committed());
    write(run, [...events, told.done()]);
    const { url } = await serving(t, run);
    const began = performance.now();
    const { page, faults } = await look(t, url);
    await page.waitForFunction(() =>
      document.getElementById('figures')?.textContent?.includes('50,000 of 50,000'),
    );
    const ms = performance.now() - began;
    t.diagnostic(`50,000 steps were open after ${ms.toFixed(0)} ms`);
    // It begins with the summary: of the events only the latest few travel.
    await page.waitForFunction(() =>
      /of \d+ events/.test(document.getElementById('count')?.innerText ?? ''),
    );
    const here = Number(/of (\d+) events/.exec(await page.locator('#count').innerText())?.[1]);
    assert.ok(here > 0 && here <= 100, `${here} events`);
    await shows(page, 'worker-1', 'finished');
    assert.deepEqual(faults, []);
  });
});
