/**
 * Files that hold secrets, and looking whether files have changed.
 *
 * A secret that every user of a machine can read is none: such a file is refused. Its group may read
 * it, as a pod's does. What a file holds stands in no message.
 */
import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { Failure } from '../core/failures.ts';

const bytesMax = 256 * 1024;
/** How often files are looked at, milliseconds. */
const lookMs = 1000;

/** A small file, whole. Throws `bad-option`, naming the option. */
export function readBytes(option: string, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const message = `--${option} cannot be read: ${(cause as Error).message}.`;
    throw new Failure('bad-option', message, { cause });
  }
  if (bytes.length > 0 && bytes.length <= bytesMax) return bytes;
  throw new Failure('bad-option', `--${option} ${path} is empty or far too large.`);
}

/** As `readBytes`, for a file that not everybody may read. */
export function readSecret(option: string, path: string): Buffer {
  const bytes = readBytes(option, path);
  const open = process.platform === 'win32' ? 0 : statSync(path).mode & 0o007;
  if (open === 0) return bytes;
  throw new Failure(
    'bad-option',
    `--${option} ${path} can be read by every user of this machine: take that away with ` +
      `"chmod o= ${path}" (of a Kubernetes secret: defaultMode 0440).`,
  );
}

/** Writes a file as a whole that only its owner can read. */
export function writeSecret(path: string, text: string): void {
  const aside = `${path}.${process.pid}.tmp`;
  const file = openSync(aside, 'w', 0o600);
  try {
    chmodSync(aside, 0o600); // it may have lain there
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
}

/** Changes when a file does; a link that points elsewhere is a change. */
function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? '' : `${stat.ino}/${stat.size}/${stat.mtimeNs}`;
}

/**
 * Calls `reload` once a second from a change of any file on, until it does not throw: several
 * files are seldom replaced in one moment. Each other reason is told once. Returns what ends it.
 */
export function watchFiles(
  paths: readonly string[],
  reload: () => void,
  told: (reason: string) => void,
): () => void {
  const stamps = () => paths.map(stampOf).join();
  let seen = stamps();
  let owed = false;
  let last = '';
  const look = () => {
    const now = stamps();
    if (now === seen && !owed) return;
    seen = now;
    try {
      reload();
      owed = false;
      last = '';
    } catch (error) {
      owed = true;
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== last) told(reason);
      last = reason;
    }
  };
  const timer = setInterval(look, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}
