/**
 * The report in a real Chromium, from a file and without a network: light, dark and on a phone, by
 * keyboard, judged by axe; a run and a class whose names are markup.
 *
 * TANDEM_SHOTS=FOLDER keeps screenshots.
 */
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import sharp from 'sharp';
import { report } from '../../report/page.ts';
import { judge, launch, noBrowser } from '../support/chromium.ts';
import { command } from '../support/command.ts';
import { pretendEvaluation } from '../support/evaluations.ts';
import { pretendRun } from '../support/pretend-events.ts';
import { scratch } from '../support/processes.ts';

const shots = process.env['TANDEM_SHOTS'];
const hostile = '<img src=x onerror="globalThis.pwned=1">';

function writeRun(folder: string, steps: number, accuracy: number): string {
  mkdirSync(join(folder, 'evaluations'), { recursive: true });
  const told = pretendRun({ run: 'r', steps, workers: ['worker-1', 'worker-2', hostile] });
  const events = [...told.begin(), told.knn(0.374)];
  while (told.step < steps - 40) events.push(told.committed());
  events.push(told.left('worker-2'), told.moved('worker-2', 4, 2));
  while (told.step < steps) events.push(told.committed());
  events.push(told.knn(0.547), told.checkpoint(), told.done());
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  writeFileSync(join(folder, 'events.jsonl'), lines);
  const labels = ['daisy', 'dandelion', hostile, 'sunflower', 'tulip'];
  for (const [i, kind] of (['linear', 'knn'] as const).entries())
    writeFileSync(
      join(folder, 'evaluations', `${i}.json`),
      JSON.stringify(pretendEvaluation({ run: 'r', step: steps, kind, accuracy, labels })),
    );
  return folder;
}

describe('the report in Chromium', { skip: noBrowser, timeout: 300_000, concurrency: 1 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  async function look(t: TestContext, path: string, options: BrowserContextOptions) {
    const context = await browser.newContext(options);
    t.after(() => context.close());
    const page = await context.newPage();
    const told: string[] = [];
    page.on('console', (message) => told.push(message.text()));
    page.on('pageerror', (error) => told.push(String(error)));
    page.on('request', (request) => {
      const url = request.url();
      if (url !== pathToFileURL(path).href && !url.startsWith('data:')) told.push(`asks ${url}`);
    });
    await page.goto(pathToFileURL(path).href);
    return { page, told };
  }
  const shot = async (page: Page, name: string): Promise<void> => {
    if (shots === undefined) return;
    await page.screenshot({ path: join(shots, `report-${name}.png`), fullPage: true });
  };

  it('two runs: no request, no word on the console, nothing that axe minds', async (t) => {
    const folder = scratch(t);
    const runs = [
      writeRun(join(folder, 'epochs-50'), 300, 0.586),
      writeRun(join(folder, hostile.replaceAll('/', '')), 450, 0.63),
    ];
    const out = join(folder, 'report.html');
    const ended = await command(['report', ...runs, '--out', out, '--title', hostile]);
    assert.deepEqual([ended.code, ended.err], [0, '']);
    const figures = readdirSync(join(folder, 'report-figures'));
    assert.ok(figures.includes('loss.svg') && figures.includes('loss.png'));
    assert.equal(existsSync(out), true);

    const desk = { viewport: { width: 1280, height: 900 } };
    const phone = { viewport: { width: 360, height: 740 }, isMobile: true, deviceScaleFactor: 2 };
    const looks: [string, BrowserContextOptions][] = [
      ['light', desk],
      ['dark', { ...desk, colorScheme: 'dark' }],
      ['phone', phone],
    ];
    for (const [name, options] of looks) {
      const { page, told } = await look(t, out, options);
      assert.deepEqual(told, [], name);
      const over = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      assert.ok(over <= 0, `${name}: the page is ${over} pixels too wide`);
      assert.equal(await page.evaluate(() => 'pwned' in globalThis), false);
      assert.equal(await page.locator('h1').innerText(), hostile);
      assert.equal(await page.locator('main > section').count(), 6);
      await shot(page, name);
      const judged = await look(t, out, { ...options, bypassCSP: true });
      await judge(judged.page);
    }
  });

  it('a gallery on a phone: pictures are there, rows scroll, axe minds nothing', async (t) => {
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#27c' } })
      .png()
      .toBuffer();
    const picture = (label: string) => ({
      ...{ path: `${label}/1.png`, label },
      source: `data:image/png;base64,${png.toString('base64')}`,
    });
    const neighbours = ['daisy', hostile, 'rose', 'tulip', 'daisy', 'rose'].map((label, i) => ({
      ...picture(label),
      similarity: 1 - i / 10,
    }));
    const row = { query: picture('daisy'), neighbours };
    const { page: text } = report({
      ...{ title: 'Gallery', made: '2026-11-24T07:00:00.000Z', version: '0', runs: [] },
      galleries: [{ network: hostile, searched: 40, size: 112, rows: [row, row] }],
    });
    const out = join(scratch(t), 'gallery.html');
    writeFileSync(out, text);
    const phone = { viewport: { width: 360, height: 740 }, isMobile: true };
    const { page, told } = await look(t, out, { ...phone, bypassCSP: true });
    const widths = await page
      .locator('.nearest img')
      .evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth));
    assert.deepEqual(
      widths,
      Array.from({ length: 14 }, () => 8),
    );
    assert.equal(await page.locator('.nearest .same').count(), 4);
    const first = page.locator('.nearest').first();
    await first.focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => (document.activeElement?.scrollLeft ?? 0) > 0);
    await judge(page);
    assert.deepEqual(told, []);
  });

  it('by keyboard: past the links to the runs, tables scroll, values unfold', async (t) => {
    const folder = scratch(t);
    const run = writeRun(join(folder, 'one'), 60, 0.5);
    const out = join(folder, 'one.html');
    assert.equal((await command(['report', run, '--out', out, '--quiet'])).code, 0);
    const { page } = await look(t, out, { viewport: { width: 420, height: 800 } });
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.className), 'skip');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    const label = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    assert.equal(label, 'The runs');
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => (document.activeElement?.scrollLeft ?? 0) > 0);
    const summary = page.locator('summary', { hasText: 'Values of one' });
    await summary.focus();
    await page.keyboard.press('Enter');
    await page
      .locator('td', { hasText: '0.05000' })
      .or(page.getByText('learning rate'))
      .first()
      .waitFor();
    assert.equal(await page.locator('details[open] caption').first().isVisible(), true);
  });
});
