/**
 * A nats-server for the tests that talk to a real one. Looked for on PATH and in our cache; else
 * taken from Debian's package (only under CI as root: fetched and unpacked into our cache, not
 * installed, because installing starts a service on the port), else built by Go. Training itself
 * never needs any of this.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { onPath, run } from './command.mjs';

const version = 'v2.15.2';
const fetchMs = 300_000;

/**
 * Path of a nats-server, or null when none can be had.
 * @param {{ cache: string, env: NodeJS.ProcessEnv, say: import('./command.mjs').Say }} context
 * @returns {Promise<string | null>}
 */
export async function findNatsServer({ cache, env, say }) {
  const present = onPath('nats-server', env['PATH']);
  if (present !== null) return present;
  const kept = join(cache, 'nats-server');
  if (onPath(kept) !== null) return kept;
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, '.partial-nats-'));
  try {
    const made = (await fromDebian(folder, env, say)) ?? (await fromGo(folder, env, say));
    if (made === null) return null;
    copyFileSync(made, `${folder}/ready`);
    renameSync(`${folder}/ready`, kept);
    return kept;
  } finally {
    // Go marks its module files read-only, which stops a plain removal of their folders.
    await run('chmod', ['-R', 'u+w', folder], { timeoutMs: 10_000 });
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} folder @param {NodeJS.ProcessEnv} env @param {import('./command.mjs').Say} say */
async function fromDebian(folder, env, say) {
  if (!env['CI'] || process.getuid?.() !== 0) return null;
  if (onPath('apt-get') === null || onPath('dpkg') === null) return null;
  say('fetching nats-server for the tests (Debian package) …');
  const options = { cwd: folder, timeoutMs: fetchMs };
  await run('apt-get', ['update', '-qq'], options);
  // apt's own unprivileged user may not write into our folder; it then fetches as root and warns.
  const fetched = await run('apt-get', ['download', '-qq', 'nats-server'], options);
  const file = readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (!fetched.ok || file === undefined) return null;
  const unpacked = await run('dpkg', ['-x', file, 'unpacked'], options);
  if (!unpacked.ok) return null;
  return (
    ['usr/sbin', 'usr/bin', 'sbin', 'bin']
      .map((where) => join(folder, 'unpacked', where, 'nats-server'))
      .find((path) => onPath(path) !== null) ?? null
  );
}

/** @param {string} folder @param {NodeJS.ProcessEnv} env @param {import('./command.mjs').Say} say */
async function fromGo(folder, env, say) {
  const go = onPath('go', env['PATH']);
  if (go === null) return null;
  say(`building nats-server ${version} for the tests with Go …`);
  const built = await run(go, ['install', `github.com/nats-io/nats-server/v2@${version}`], {
    timeoutMs: fetchMs,
    env: { ...env, GOBIN: folder, GOTOOLCHAIN: 'local' },
  });
  if (!built.ok) say(`nats-server could not be built: ${built.why}`);
  return built.ok ? join(folder, 'nats-server') : null;
}
