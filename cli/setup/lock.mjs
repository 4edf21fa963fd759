/**
 * One installer at a time in one clone: `npm start` and `npm test` may be started together.
 *
 * The lock is a file that names its holder (process id, the moment that process began, host). A
 * holder that is gone is recognised by the first two, so a killed installer blocks nobody, and a
 * recycled process id does not pass for it. Taking a dead holder's lock over goes through a rename,
 * which only one of several waiters can win.
 */
import { mkdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from './command.mjs';

/** A holder on another host cannot be asked whether it lives; after this long it counts as gone. */
const foreignLifetimeMs = 60 * 60 * 1000;
/** A lock file without its text is one being written, unless it stays so. */
const writingMs = 10_000;

/**
 * When a process began, in clock ticks since boot; '' where the system does not tell.
 * @param {number} pid
 */
function bornAt(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name stands in parentheses and may hold spaces; field 22 is the 20th after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** The text by which the current process signs a lock. */
export function ownSignature() {
  return `${process.pid} ${bornAt(process.pid) || '-'} ${hostname()}`;
}

/**
 * Whether the process that signed a lock still lives.
 * @param {string} signature
 * @param {number} ageMs since the lock was written
 */
export function holderLives(signature, ageMs) {
  const [pidText = '', born = '-', host = ''] = signature.split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return ageMs < writingMs;
  if (host !== hostname()) return ageMs < foreignLifetimeMs;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, as another user's.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPERM') return false;
  }
  const now = bornAt(pid);
  return born === '-' || now === '' || now === born;
}

/** @param {string} path @returns {{ signature: string, ageMs: number } | null} */
function look(path) {
  try {
    const ageMs = Date.now() - statSync(path).mtimeMs;
    return { signature: readFileSync(path, 'utf8'), ageMs };
  } catch {
    return null;
  }
}

/** @param {string} path @param {string} signature */
function tryTake(path, signature) {
  try {
    writeFileSync(path, signature, { flag: 'wx' });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} path @param {string} stale the dead holder's signature */
function removeStale(path, stale) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // Another waiter was quicker.
  }
  const moved = readFileSync(aside, 'utf8');
  unlinkSync(aside);
  // Between our look and our rename another waiter took the lock: give it back.
  if (moved !== stale) tryTake(path, moved);
}

/**
 * Runs `work` while holding the lock, and lets go of it afterwards, also when `work` throws or the
 * process exits.
 * @template T
 * @param {string} path of the lock file
 * @param {() => Promise<T>} work
 * @param {{ waitMs: number, pollMs?: number, say: import('./command.mjs').Say }} options
 * @returns {Promise<T>}
 */
export async function withLock(path, work, { waitMs, pollMs = 200, say }) {
  mkdirSync(dirname(path), { recursive: true });
  const signature = ownSignature();
  const deadline = Date.now() + waitMs;
  let told = false;
  while (!tryTake(path, signature)) {
    const found = look(path);
    if (found === null) continue;
    if (!holderLives(found.signature, found.ageMs)) {
      removeStale(path, found.signature);
      continue;
    }
    const pid = found.signature.split(' ')[0];
    if (Date.now() > deadline) {
      throw new SetupError(
        `process ${pid} has been installing for ${Math.round(waitMs / 60_000)} minutes. ` +
          `End it if it hangs, or delete ${path} if it is gone; then run the command again.`,
      );
    }
    if (!told) say(`process ${pid} is installing in this folder already; waiting for it.`);
    told = true;
    await sleep(pollMs);
  }
  const release = () => {
    if (look(path)?.signature === signature) unlinkSync(path);
  };
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}
