/**
 * A worker that computes exactly, behind certificates and a token; everything else is the shipped
 * session. With `use-small-model.js` preloaded.
 *
 *   guarded-worker.js HOST:PORT NAME CERT KEY CA TOKEN PACE_MS
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { guardedWorker } from '../support/guarded-run.ts';

const [address = '', name = '', cert = '', key = '', ca = '', token = '', pace = '0'] =
  process.argv.slice(2);
const shown = cert === '' ? {} : { tls: { cert, key, ca }, token };
try {
  await guardedWorker(address, name, shown, () => sleep(Number(pace)));
  process.exit(0);
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
}
