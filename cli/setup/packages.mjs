/**
 * Step 1: the npm packages. What is installed is compared with package-lock.json itself, not with a
 * stamp of ours, so that a plain `npm install` or `npm ci` by hand counts as well.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run, SetupError } from './command.mjs';

const npmTimeoutMs = 15 * 60 * 1000;

/** @typedef {Record<string, { version?: string, optional?: boolean, link?: boolean }>} Packages */

/** @param {string} path @returns {Packages | null} */
function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? null;
  } catch {
    return null;
  }
}

/**
 * Why the npm packages have to be installed, or null when they are what package-lock.json says.
 * Packages for other platforms are optional and may be absent.
 * @param {string} root
 * @returns {string | null}
 */
export function packagesMissing(root) {
  const wanted = packagesOf(join(root, 'package-lock.json'));
  if (wanted === null) {
    throw new SetupError(
      'package-lock.json is missing or cut short. Restore it: git checkout -- package-lock.json',
    );
  }
  const present = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  if (present === null) return 'none is installed';
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = present[path];
    if (found === undefined && optional === true) continue;
    if (found?.version !== version)
      return `${path.replace(/^.*node_modules\//, '')} ${version} is not installed`;
    if (!existsSync(join(root, path, 'package.json'))) return `${path} is gone`;
  }
  return null;
}

/**
 * Installs what package-lock.json says, with the npm that started us where one did.
 * @param {string} root
 * @param {import('./command.mjs').Say} say
 */
export async function ensurePackages(root, say) {
  const missing = packagesMissing(root);
  if (missing === null) return;
  say(`installing npm packages (${missing}) …`);
  const script = process.env['npm_execpath'] ?? '';
  // Not `npm ci`: that begins by deleting node_modules, and TensorFlow and its addon with it. What
  // the lock file says of versions and hashes holds all the same.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const options = { cwd: root, timeoutMs: npmTimeoutMs, show: true };
  const outcome =
    basename(script) === 'npm-cli.js'
      ? await run(process.execPath, [script, ...args], options)
      : await run('npm', args, options);
  if (!outcome.ok) {
    throw new SetupError(
      `npm packages could not be installed (${outcome.why}). Its own words stand above; try: npm install`,
    );
  }
}
