/** A real Chromium for tests, and axe to judge pages with. */
/// <reference lib="dom" />
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const names = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
const program = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((path) => existsSync(path));
if (program === undefined && process.env['CI'] === 'true')
  throw new Error('CI needs a Chromium: none of its names is on PATH');

/** Why no page can be looked at here, or false. */
export const noBrowser: string | false = program === undefined && 'no Chromium on PATH';

/** A browser on a busy machine may need a minute to start or to open a page. */
export const patienceMs = 120_000;

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: program ?? '',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    timeout: patienceMs,
  });

/** Fails where axe finds anything serious. The page's policy must let it in (`bypassCSP`). */
export async function judge(page: Page): Promise<void> {
  await page.evaluate(
    readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'),
  );
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run(): Promise<{
          violations: { id: string; impact: string; nodes: { html: string }[] }[];
        }>;
      };
    };
    return (await axe.run()).violations;
  });
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(
    serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
    [],
  );
}
