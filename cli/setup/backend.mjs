/**
 * Steps 2 and 3 together: TensorFlow where it can be had, else the wasm backend with one plain
 * warning. The answer is kept in a record (record.mjs), so that later starts decide in a
 * millisecond; `npm run setup` decides anew.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  addonFolder,
  addonStands,
  buildAddon,
  findCompiler,
  linkTensorflow,
  probeAddon,
} from './addon.mjs';
import { onPath, SetupError } from './command.mjs';
import { firstOf, sourcesFor } from './libtensorflow.mjs';
import { outdated, readRecord, writeRecord } from './record.mjs';

/** @typedef {import('./record.mjs').BackendRecord} BackendRecord */
/** @typedef {import('./record.mjs').Facts} Facts */

/**
 * Our folder in the user's cache.
 * @param {NodeJS.ProcessEnv} env
 */
export function cacheFolder(env) {
  const base = env['XDG_CACHE_HOME'];
  return join(base ? base : join(homedir(), '.cache'), 'tandem');
}

/** Whether an NVIDIA driver runs. CUDA's library alone says little: images without a GPU ship it
 *  too; only under WSL, which has no device file of NVIDIA's, its place is the driver's own. */
function hasDriver() {
  return [
    '/proc/driver/nvidia/version',
    '/dev/nvidiactl',
    '/dev/nvidia0',
    '/usr/lib/wsl/lib/libcuda.so.1',
  ].some((path) => existsSync(path));
}

/**
 * What TANDEM_CUDA says of the build to install: an image is built where no GPU is, for where one is.
 * @param {NodeJS.ProcessEnv} env
 * @returns {boolean | null}
 */
export function wantsCuda(env) {
  const asked = env['TANDEM_CUDA'];
  if (!asked) return null;
  if (asked === '1' || asked === '0') return asked === '1';
  throw new SetupError(`TANDEM_CUDA should be 1 or 0, but is "${asked}". Set one, or unset it.`);
}

/** @param {string} root @param {NodeJS.ProcessEnv} env @returns {Facts} */
export function gatherFacts(root, env) {
  const manifest = JSON.parse(readFileSync(join(addonFolder(root), 'package.json'), 'utf8'));
  return {
    addon: manifest.version,
    backend: env['TANDEM_BACKEND'] || null,
    libtensorflow: env['TANDEM_LIBTENSORFLOW'] || null,
    compiler: findCompiler(env)?.join(' ') ?? null,
    python: onPath('python3', env['PATH']) ?? onPath('python', env['PATH']),
    driver: wantsCuda(env) ?? hasDriver(),
  };
}

/**
 * Why this platform cannot have TensorFlow under tfjs, or null when it can.
 * @param {{ platform: string, arch: string, glibc: string | null }} machine
 */
export function unsupported({ platform, arch, glibc }) {
  if (platform !== 'linux' || arch !== 'x64') return `this is ${platform} on ${arch}`;
  if (glibc === null) return 'this Linux has another C library than glibc';
  const [major = 0, minor = 0] = glibc.split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 27)) return `its glibc is ${glibc}, and 2.27 is needed`;
  return null;
}

/** @returns {{ platform: string, arch: string, glibc: string | null }} */
function thisMachine() {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch, glibc: null };
  // A report looks up the host names of open connections unless told not to; @types/node 22 does
  // not know the switch yet.
  Object.assign(process.report, { excludeNetwork: true });
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (
    process.report.getReport()
  );
  return { platform, arch, glibc: report.header.glibcVersionRuntime ?? null };
}

/**
 * Sees to it that a backend is there and says which.
 * @param {string} root
 * @param {{ env: NodeJS.ProcessEnv, say: import('./command.mjs').Say, anew: boolean }} options
 *   anew: ask the sources again although the record says wasm
 * @returns {Promise<BackendRecord>}
 */
export async function ensureBackend(root, { env, say, anew }) {
  const facts = gatherFacts(root, env);
  if (facts.backend !== null && facts.backend !== 'wasm' && facts.backend !== 'tensorflow') {
    throw new SetupError(
      `TANDEM_BACKEND should be tensorflow or wasm, but is "${facts.backend}". Set one of the two, or unset it.`,
    );
  }
  const before = readRecord(root);
  if (before !== null && outdated(before, facts) === null) {
    if (before.backend === 'tensorflow' && addonStands(root)) return before;
    if (before.backend === 'wasm' && (!anew || facts.backend === 'wasm')) {
      remind(before, say);
      return before;
    }
  }
  const record = await decide(root, facts, { env, say });
  if (record.backend === 'wasm' && facts.backend === 'tensorflow') {
    throw new SetupError(
      `TANDEM_BACKEND asks for tensorflow, but it is not to be had: ${record.reason}. ${record.cure}`,
    );
  }
  writeRecord(root, record);
  report(record, say);
  return record;
}

/**
 * @param {string} root
 * @param {Facts} facts
 * @param {{ env: NodeJS.ProcessEnv, say: import('./command.mjs').Say }} options
 * @returns {Promise<BackendRecord>}
 */
async function decide(root, facts, { env, say }) {
  /** @param {string} reason @param {string} cure @returns {BackendRecord} */
  const wasm = (reason, cure) => {
    const nothing = { version: null, device: null, source: null, build: null };
    return { format: 1, backend: 'wasm', ...nothing, reason, cure, facts };
  };
  if (facts.backend === 'wasm')
    return wasm('TANDEM_BACKEND=wasm asks for it', 'Unset TANDEM_BACKEND.');
  const platform = unsupported(thisMachine());
  if (platform !== null) {
    return wasm(
      `TensorFlow for Node runs on Linux x64 with glibc, and ${platform}`,
      'Train on such a machine or in such a container.',
    );
  }
  const compiler = findCompiler(env);
  if (compiler === null) {
    const named = env['CXX'] ? `CXX=${env['CXX']} is not there` : 'no g++, clang++ or c++ is there';
    return wasm(
      `there is no C++ compiler (${named})`,
      'Install one (Debian, Ubuntu: apt-get install g++), then: npm run setup',
    );
  }
  const cache = cacheFolder(env);
  const { python, driver } = facts;
  const answer = await firstOf(sourcesFor({ env, cache, python, driver, say }));
  if ('problems' in answer) {
    return wasm(
      `no libtensorflow was found (${answer.problems.join('; ')})`,
      'Install Python 3 with pip where a package index can be reached, or unpack libtensorflow and ' +
        'set TANDEM_LIBTENSORFLOW to its folder; then: npm run setup',
    );
  }
  const { found } = answer;
  linkTensorflow(root, found);
  const problem = await buildAddon({ root, cache, compiler, found, say });
  const probed = problem === null ? await probeAddon(root) : { problem };
  if ('problem' in probed) {
    return wasm(
      `the tfjs addon on ${found.source} failed: ${probed.problem}`,
      'Repair that, then: npm run setup',
    );
  }
  const idle = driver && probed.device === 'cpu';
  return {
    format: 1,
    backend: 'tensorflow',
    ...probed,
    source: found.source,
    build: found.build,
    reason: idle
      ? 'an NVIDIA driver is here, but TensorFlow computes on the CPU: it found no working CUDA 12 or no free GPU'
      : null,
    cure: idle
      ? 'Its own words: TF_CPP_MIN_LOG_LEVEL=0 npm start. Check that nvidia-smi lists a GPU.'
      : null,
    facts,
  };
}

/** @param {BackendRecord} record @param {import('./command.mjs').Say} say */
function report(record, say) {
  const { backend, version, device, source, reason, cure } = record;
  if (backend === 'tensorflow') {
    say(`TensorFlow ${version} works on the ${device === 'gpu' ? 'GPU' : 'CPU'} (${source}).`);
    if (reason !== null) say(`warning: ${reason}. ${cure}`);
  } else if (record.facts.backend === 'wasm') {
    remind(record, say);
  } else {
    say(
      `warning: training will use WebAssembly instead of TensorFlow, about 5 times slower and never on a GPU: ${reason}. ${cure}`,
    );
  }
}

/** @param {BackendRecord} record @param {import('./command.mjs').Say} say */
function remind(record, say) {
  if (record.facts.backend === 'wasm') say('computing with WebAssembly, as TANDEM_BACKEND asks.');
  else
    say(
      'computing with WebAssembly, without TensorFlow; `npm run setup` says why and tries again.',
    );
}
