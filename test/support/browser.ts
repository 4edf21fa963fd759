/**
 * A real Chromium that looks at a dashboard, and what is judged of each page: console errors,
 * requests to anybody else, axe's serious findings.
 *
 * TANDEM_SHOTS=FOLDER keeps screenshots.
 */
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const names = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
const program = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((path) => existsSync(path));
if (program === undefined && process.env['CI'] === 'true')
  throw new Error('CI needs a Chromium: none of its names is on PATH');

export const browserSkip: string | false = program === undefined ? 'no Chromium on PATH' : false;

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env['TANDEM_SHOTS'];

/** A browser on a busy machine may need a minute to open a page. */
const patienceMs = 120_000;

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
    const args = ['--no-sandbox', '--disable-dev-shm-usage'];
    browser = await chromium.launch({ executablePath: program ?? '', args, timeout: patienceMs });
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

/** Axe finds nothing serious. */
export async function judged(page: Page): Promise<void> {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { axe: judge } = globalThis as unknown as {
      axe: {
        run(): Promise<{
          violations: { id: string; impact: string; nodes: { html: string }[] }[];
        }>;
      };
    };
    return (await judge.run()).violations;
  });
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(
    serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    [],
  );
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
