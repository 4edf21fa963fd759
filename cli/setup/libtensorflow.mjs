/**
 * Step 2: where libtensorflow comes from. Four sources, asked in order; the first that has it wins,
 * and each one that has not says why, so that the last word to a person can be complete:
 *
 *   1. TANDEM_LIBTENSORFLOW, a folder (a wrong one is an error: somebody meant it);
 *   2. a TensorFlow in Python's site-packages, used where it lies;
 *   3. the pinned wheel through pip, unpacked into the user's cache, shared by all clones;
 *   4. the archive on TensorFlow's own download host.
 *
 * With an NVIDIA driver on the machine the CUDA build is wanted, and a CPU build is passed over.
 */
import { randomBytes } from 'node:crypto';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { run, SetupError } from './command.mjs';
import {
  damage,
  oldestVersion,
  readTensorflowFolder,
  usableVersion,
} from './tensorflow-folder.mjs';
import {
  diskNeeded,
  downloadSize,
  fetchWheels,
  findPip,
  unpackWheels,
  wheelFolderName,
  wheelVersion,
} from './wheels.mjs';

/** @typedef {import('./tensorflow-folder.mjs').TensorflowFolder & { source: string }} Found */
/** @typedef {{ found: Found } | { problem: string }} Answer */
/** @typedef {{ name: string, ask: () => Promise<Answer> }} Source */

/**
 * @typedef {object} Context what the sources may look at
 * @property {NodeJS.ProcessEnv} env
 * @property {string} cache our folder in the user's cache
 * @property {string | null} python
 * @property {boolean} driver an NVIDIA driver is here
 * @property {import('./command.mjs').Say} say
 */

/**
 * Asks the sources in order until one has libtensorflow.
 * @param {readonly Source[]} sources
 * @returns {Promise<{ found: Found } | { problems: string[] }>} a problem a source, `name: why`
 */
export async function firstOf(sources) {
  const problems = [];
  for (const { name, ask } of sources) {
    const answer = await ask();
    if ('found' in answer) return answer;
    problems.push(`${name}: ${answer.problem}`);
  }
  return { problems };
}

/** @param {Context} context @returns {Source[]} */
export function sourcesFor(context) {
  const folder = context.env['TANDEM_LIBTENSORFLOW'];
  // Somebody who names a folder wants that one or an error, never a download.
  if (folder) return [{ name: 'TANDEM_LIBTENSORFLOW', ask: async () => fromEnvironment(folder) }];
  return [
    { name: 'Python', ask: () => fromPython(context) },
    { name: 'pip', ask: () => fromWheel(context) },
    { name: 'archive', ask: () => fromArchive(context) },
  ];
}

/** @param {string} folder @returns {Answer} */
function fromEnvironment(folder) {
  const answer = readTensorflowFolder(folder);
  if ('problem' in answer) {
    throw new SetupError(
      `TANDEM_LIBTENSORFLOW should name a folder with libtensorflow, but ${answer.problem}. ` +
        'Name the folder of a Python package (…/site-packages/tensorflow) or of an unpacked ' +
        'libtensorflow archive (with lib/ and include/), or unset the variable.',
    );
  }
  return { found: { ...answer.found, source: folder } };
}

/** Finds the package without importing it, which would take seconds; the folder '' is the working
 *  directory, where a folder of that name would be mistaken for the package. */
const locateScript = `
import sys
sys.path[:] = [p for p in sys.path if p]
import importlib.util, importlib.metadata, json, os
spec = importlib.util.find_spec('tensorflow')
version = None
for name in ('tensorflow', 'tensorflow-cpu', 'tensorflow-intel', 'tf-nightly'):
    try:
        version = importlib.metadata.version(name)
        break
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({'folder': os.path.dirname(spec.origin) if spec and spec.origin else None, 'version': version}))
`;

/** @param {Context} context @returns {Promise<Answer>} */
async function fromPython({ python, driver, say, env }) {
  if (python === null) return { problem: 'there is no python3' };
  const outcome = await run(python, ['-c', locateScript], { timeoutMs: 20_000, env });
  if (!outcome.ok) return { problem: outcome.why };
  const { folder, version } = JSON.parse(outcome.stdout);
  if (folder === null) return { problem: 'TensorFlow is not installed there' };
  if (version === null || !usableVersion(version)) {
    return {
      problem: `its TensorFlow is ${version ?? 'of an unknown version'}; ${oldestVersion} or newer is needed`,
    };
  }
  const answer = readTensorflowFolder(folder);
  if ('problem' in answer) return answer;
  if (driver && answer.found.build !== 'gpu') {
    say(
      `passing over TensorFlow ${version} in Python: it has no CUDA, and this machine has a GPU.`,
    );
    return { problem: `its TensorFlow ${version} is built without CUDA` };
  }
  return { found: { ...answer.found, source: `TensorFlow ${version} of ${python}` } };
}

/** @param {Context} context @returns {Promise<Answer>} */
async function fromWheel({ python, cache, driver, say }) {
  const build = driver ? 'gpu' : 'cpu';
  const folder = join(cache, wheelFolderName(build));
  if (existsSync(folder)) {
    const wrong = await damage(folder);
    if (wrong === null)
      return fromOwnFolder(folder, build, `the wheel of TensorFlow ${wheelVersion}`);
    say(`the cached ${folder} is damaged (${wrong}); fetching it again.`);
    rmSync(folder, { recursive: true, force: true });
  }
  if (python === null) return { problem: 'there is no python3' };
  return filling(cache, diskNeeded(build), async (scratch) => {
    const pip = await findPip(python, scratch);
    if (pip === null) return { problem: 'Python has no pip' };
    say(
      `first time: downloading TensorFlow ${wheelVersion} (${downloadSize(build)}) into ${cache} …`,
    );
    const fetched = await fetchWheels({ pip, build, folder: scratch });
    if ('problem' in fetched) return fetched;
    say('unpacking it …');
    const target = join(scratch, 'ready');
    const wrong = await unpackWheels({ python, wheels: fetched.files, target });
    if (wrong !== null) return { problem: wrong };
    moveIntoPlace(target, folder);
    return fromOwnFolder(folder, build, `the wheel of TensorFlow ${wheelVersion}`);
  });
}

/**
 * TensorFlow's documentation of its C library names this place. Not reachable where this was
 * written, so neither the address nor the archive's content could be checked, and no hash could be
 * pinned: it is the last resort, fetched over TLS only.
 */
const archiveVersion = '2.18.1';
/** @param {'cpu' | 'gpu'} build */
const archiveAddress = (build) =>
  `https://storage.googleapis.com/tensorflow/versions/${archiveVersion}/libtensorflow-${build}-linux-x86_64.tar.gz`;
const archiveAnswerMs = 15_000;
const archiveMs = 15 * 60 * 1000;

/** @param {Context} context @returns {Promise<Answer>} */
async function fromArchive({ cache, driver, say }) {
  const build = driver ? 'gpu' : 'cpu';
  const folder = join(cache, `libtensorflow-${archiveVersion}-${build}-archive`);
  const source = `the archive of libtensorflow ${archiveVersion}`;
  if (existsSync(folder)) return fromOwnFolder(folder, build, source);
  return filling(cache, diskNeeded(build), async (scratch) => {
    const file = join(scratch, 'archive.tar.gz');
    const target = join(scratch, 'ready');
    say(`asking TensorFlow's download host for libtensorflow ${archiveVersion} …`);
    try {
      await download(archiveAddress(build), file);
    } catch (error) {
      return { problem: `the download host did not deliver (${messageOf(error)})` };
    }
    mkdirSync(target);
    const unpacked = await run('tar', ['-xzf', file, '-C', target], { timeoutMs: 300_000 });
    if (!unpacked.ok) return { problem: unpacked.why };
    const answer = readTensorflowFolder(target);
    if ('problem' in answer) return answer;
    moveIntoPlace(target, folder);
    return fromOwnFolder(folder, build, source);
  });
}

/** @param {string} address @param {string} file */
async function download(address, file) {
  const abort = new AbortController();
  const whole = setTimeout(() => abort.abort(new Error('it took too long')), archiveMs);
  const answer = setTimeout(() => abort.abort(new Error('no answer')), archiveAnswerMs);
  try {
    const response = await fetch(address, { signal: abort.signal });
    clearTimeout(answer);
    if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
    // Its type says nothing of Node's own stream; both are the same web stream.
    const body = /** @type {import('node:stream/web').ReadableStream} */ (response.body);
    await pipeline(Readable.fromWeb(body), createWriteStream(file), { signal: abort.signal });
  } finally {
    clearTimeout(answer);
    clearTimeout(whole);
  }
}

/** @param {string} folder @param {'cpu' | 'gpu'} build @param {string} source @returns {Answer} */
function fromOwnFolder(folder, build, source) {
  const answer = readTensorflowFolder(folder);
  return 'problem' in answer ? answer : { found: { ...answer.found, build, source } };
}

/**
 * Runs `fill` with a scratch folder in the cache (same file system, so that the result can be
 * renamed into place) and removes the scratch folder afterwards, and those of killed runs.
 * @param {string} cache
 * @param {number} bytes free disk that is needed
 * @param {(scratch: string) => Promise<Answer>} fill
 * @returns {Promise<Answer>}
 */
async function filling(cache, bytes, fill) {
  const scratch = join(cache, `.partial-${process.pid}-${randomBytes(4).toString('hex')}`);
  const clear = () => rmSync(scratch, { recursive: true, force: true });
  // Ctrl-C ends the process without coming back to `finally`.
  process.once('exit', clear);
  try {
    mkdirSync(scratch, { recursive: true });
    removeLeftovers(cache);
    const { bavail, bsize } = statfsSync(cache);
    if (bavail * bsize < bytes) {
      const gb = (/** @type {number} */ n) => (n / 1e9).toFixed(1);
      return {
        problem: `${cache} has ${gb(bavail * bsize)} GB of free disk; ${gb(bytes)} GB are needed`,
      };
    }
    writeFileSync(
      join(scratch, 'what-is-this'),
      'A download of Tandem under way. Safe to delete when nothing runs.\n',
    );
    return await fill(scratch);
  } catch (error) {
    return { problem: messageOf(error) };
  } finally {
    process.removeListener('exit', clear);
    clear();
  }
}

const leftoverMs = 24 * 60 * 60 * 1000;

/** @param {string} cache */
function removeLeftovers(cache) {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (!name.startsWith('.partial-') || Date.now() - statSync(path).mtimeMs < leftoverMs) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

/** @param {string} ready @param {string} folder */
function moveIntoPlace(ready, folder) {
  try {
    renameSync(ready, folder);
  } catch (error) {
    // Another clone finished first: its copy is as good.
    if (!existsSync(folder)) throw error;
  }
}

/** @param {unknown} error */
function messageOf(error) {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`;
}
