/**
 * The files of the page and the headers of every answer.
 *
 * The list is closed: what is not in it is not served, whatever the path says. The fold that the
 * page runs, and the words of its log, are the compiled ones of `shared/core`, as everywhere else.
 */
import { readFile } from 'node:fs/promises';

const page = new URL('../../dashboard/page/', import.meta.url);
const core = new URL('../shared/core/', import.meta.url);

const scripts = ['app.js', 'charts.js', 'format.js', 'log.js', 'timeline.js'];
const folds = [
  'event-text.js',
  'events.js',
  'format.js',
  'summary.js',
  'summary-goodput.js',
  'summary-workers.js',
];

const files: ReadonlyMap<string, { at: URL; type: string }> = new Map([
  ['page/index.html', { at: new URL('index.html', page), type: 'text/html; charset=utf-8' }],
  ['page/login.html', { at: new URL('login.html', page), type: 'text/html; charset=utf-8' }],
  ['page/style.css', { at: new URL('style.css', page), type: 'text/css; charset=utf-8' }],
  ...scripts.map(
    (name) => [`page/${name}`, { at: new URL(name, page), type: 'text/javascript' }] as const,
  ),
  ...folds.map(
    (name) => [`core/${name}`, { at: new URL(name, core), type: 'text/javascript' }] as const,
  ),
]);

/** A file of the page; null for anything else. */
export async function pageFile(path: string): Promise<{ text: string; type: string } | null> {
  const known = files.get(path);
  if (known === undefined) return null;
  const text = await readFile(known.at, 'utf8');
  // The maps of compiled files are not served.
  return { text: text.replace(/^\/\/# sourceMappingURL=.*$/m, ''), type: known.type };
}

export const headers: readonly (readonly [string, string])[] = [
  [
    'Content-Security-Policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
      "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  ],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cache-Control', 'no-store'],
];
