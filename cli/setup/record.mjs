/**
 * What installation found out about the compute backend: node_modules/.tandem/backend.json. The
 * command line reads it to choose a backend, and to say why TensorFlow is not there when asked for.
 *
 *   format   1
 *   backend  'tensorflow' | 'wasm'
 *   version  TensorFlow's version as the loaded library states it; null for wasm
 *   device   'gpu' | 'cpu': what TensorFlow computed the probe on; null for wasm
 *   source   where libtensorflow came from, in words; null for wasm
 *   build    'cpu' | 'gpu' | 'unknown': the build of TensorFlow; null for wasm
 *   reason   wasm: why there is no TensorFlow; tensorflow: why it is not on the GPU; else null
 *   cure     what to do about `reason`; null without one
 *   facts    what the decision rests on: when it changes, installation decides again
 *
 * It lies in node_modules because `npm ci` deletes the addon together with it.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * @typedef {object} Facts
 * @property {string} addon version of tfjs-node-gpu
 * @property {string | null} backend TANDEM_BACKEND
 * @property {string | null} libtensorflow TANDEM_LIBTENSORFLOW
 * @property {string | null} compiler path of the C++ compiler
 * @property {string | null} python path of Python
 * @property {boolean} driver an NVIDIA driver is on this machine
 */

/**
 * @typedef {object} BackendRecord
 * @property {1} format
 * @property {'tensorflow' | 'wasm'} backend
 * @property {string | null} version
 * @property {'gpu' | 'cpu' | null} device
 * @property {string | null} source
 * @property {'cpu' | 'gpu' | 'unknown' | null} build
 * @property {string | null} reason
 * @property {string | null} cure
 * @property {Facts} facts
 */

/** @param {string} root */
export function recordPath(root) {
  return join(root, 'node_modules', '.tandem', 'backend.json');
}

/**
 * The record, or null when there is none that this version understands.
 * @param {string} root
 * @returns {BackendRecord | null}
 */
export function readRecord(root) {
  try {
    const record = JSON.parse(readFileSync(recordPath(root), 'utf8'));
    return record.format === 1 && typeof record.facts === 'object' ? record : null;
  } catch {
    return null;
  }
}

/** @param {string} root @param {BackendRecord} record */
export function writeRecord(root, record) {
  const path = recordPath(root);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.partial`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${path}.partial`, path);
}

/**
 * Why a record no longer decides, or null while it does.
 *
 * A working TensorFlow is kept when the compiler or Python go away: they were only needed to build
 * it. It is kept too when the driver goes away (a clone shared between a login node and GPU nodes
 * must not be rebuilt at every turn): a GPU build also computes on the CPU.
 * @param {BackendRecord} record
 * @param {Facts} facts
 * @returns {string | null}
 */
export function outdated(record, facts) {
  const was = record.facts;
  if (was.addon !== facts.addon) return 'another version of tfjs-node-gpu';
  if (was.backend !== facts.backend) return 'TANDEM_BACKEND changed';
  if (was.libtensorflow !== facts.libtensorflow) return 'TANDEM_LIBTENSORFLOW changed';
  if (facts.driver && !was.driver && facts.backend !== 'wasm')
    return 'an NVIDIA driver is here now';
  if (record.backend === 'tensorflow') return null;
  if (was.compiler !== facts.compiler) return 'another C++ compiler';
  if (was.python !== facts.python) return 'another Python';
  return null;
}
