/**
 * Chromium (`chromium.ts`) looks at a dashboard, and what each page is judged by: console errors,
 * requests to anybody else.
 *
 * TANDEM_SHOTS=FOLDER keeps screenshots.
 */
/// <reference lib="dom" />
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launch, patienceMs } from './chromium.ts';

const shots = process.env['TANDEM_SHOTS'];

export interface Looked {
  page: Page;
  /** Errors on the console and exceptions, but for a server that is away. */
  faults: string[];
  /** Requests to another origin. */
  foreign: string[];
}

/** A browser for the tests of this suite; opens a page and waits until it hears events. */
export function openBrowser(): (
  t: TestContext,
  url: string,
  options?: BrowserContextOptions,
) => Promise<Looked> {
  let browser: Browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());
  return async (t, url, options = {}) => {
    const viewport = { width: 1280, height: 1600 };
    const context = await browser.newContext({ viewport, ...options });
    context.setDefaultTimeout(patienceMs);
    t.after(() => context.close());
    const page = await context.newPage();
    const [faults, foreign]: [string[], string[]] = [[], []];
    page.on('console', (message) => {
      // A server that is away shows as a failed request, which is what happened.
      const away = /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(message.text());
      if (message.type() === 'error' && !away) faults.push(message.text());
    });
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('request', (request) => {
      const to = request.url();
      if (!to.startsWith(url) && !to.startsWith('data:')) foreign.push(to);
    });
    await page.goto(url);
    await page.waitForFunction(() => document.getElementById('link')?.textContent === 'live');
    return { page, faults, foreign };
  };
}

export async function shot(page: Page, name: string): Promise<void> {
  if (shots === undefined) return;
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

/** Waits until a worker is shown in this state; how long it took, milliseconds. */
export async function shows(page: Page, worker: string, word: string): Promise<number> {
  const began = performance.now();
  await page.waitForFunction(
    ([id, wanted]) => document.querySelector(`tr[data-worker="${id}"] td`)?.textContent === wanted,
    [worker, word],
    { polling: 20 },
  );
  return performance.now() - began;
}
