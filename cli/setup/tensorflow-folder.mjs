/**
 * Recognising a usable libtensorflow on disk, whoever put it there: a Python package's folder
 * (libtensorflow_cc.so.2 beside include/) or the official archive (lib/libtensorflow.so.2 and
 * include/). Also the CUDA libraries beside it, and whether a folder we filled ourselves is intact.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** tfjs's addon speaks the C API, which is stable; older headers lie elsewhere. */
export const oldestVersion = '2.16';

/**
 * @typedef {object} TensorflowFolder absolute paths
 * @property {string} library libtensorflow_cc.so.2 or libtensorflow.so.2
 * @property {string} framework libtensorflow_framework.so.2
 * @property {string} include holds tensorflow/c/c_api.h
 * @property {string | null} nvidia a folder of CUDA packages (nvidia/<name>/lib), or null
 * @property {'cpu' | 'gpu' | 'unknown'} build
 */

/**
 * Reads a folder that should hold libtensorflow.
 * @param {string} folder
 * @returns {{ found: TensorflowFolder } | { problem: string }} the problem names what is missing
 */
export function readTensorflowFolder(folder) {
  if (!existsSync(folder)) return { problem: `${folder} does not exist` };
  const libraryFolder = [folder, join(folder, 'lib')].find((where) =>
    existsSync(join(where, 'libtensorflow_framework.so.2')),
  );
  if (libraryFolder === undefined) {
    return { problem: `no libtensorflow_framework.so.2 in ${folder} or its lib/` };
  }
  const library = ['libtensorflow_cc.so.2', 'libtensorflow.so.2']
    .map((name) => join(libraryFolder, name))
    .find((path) => existsSync(path));
  if (library === undefined) {
    return { problem: `neither libtensorflow_cc.so.2 nor libtensorflow.so.2 in ${libraryFolder}` };
  }
  const include = [join(folder, 'include'), join(libraryFolder, '..', 'include')].find((where) =>
    existsSync(join(where, 'tensorflow', 'c', 'c_api.h')),
  );
  if (include === undefined) {
    return { problem: `no include/tensorflow/c/c_api.h (TensorFlow's C headers) in ${folder}` };
  }
  const nvidia = [join(folder, 'nvidia'), join(folder, '..', 'nvidia')].find((where) =>
    existsSync(where),
  );
  return {
    found: {
      library: realpathSync(library),
      framework: realpathSync(join(libraryFolder, 'libtensorflow_framework.so.2')),
      include: realpathSync(include),
      nvidia: nvidia === undefined ? null : realpathSync(nvidia),
      build: buildOf(folder),
    },
  };
}

/** @param {string} folder @returns {'cpu' | 'gpu' | 'unknown'} */
function buildOf(folder) {
  try {
    const note = readFileSync(join(folder, 'python', 'platform', 'build_info.py'), 'utf8');
    return /['"]is_cuda_build['"]\s*,\s*True/.test(note) ? 'gpu' : 'cpu';
  } catch {
    return 'unknown';
  }
}

/**
 * Whether a version such as 2.21.0 can be used; 1.x, 3.x and nonsense cannot.
 * @param {string} version
 */
export function usableVersion(version) {
  const [major, minor] = version.split('.').map(Number);
  const [wantMajor, wantMinor] = oldestVersion.split('.').map(Number);
  return major === wantMajor && (minor ?? 0) >= (wantMinor ?? 0);
}

/**
 * What a folder that we filled should hold: the libraries' sizes and SHA-256, taken while they were
 * unpacked from a wheel whose own hash is pinned. Paths are relative to the folder.
 * @typedef {Record<string, { bytes: number, sha256: string }>} Manifest
 */

/**
 * What is wrong with a folder that we filled, or null when it is intact: a disk that ran full or a
 * hand that tidied up must not turn into a crash inside TensorFlow.
 * @param {string} folder
 * @returns {Promise<string | null>}
 */
export async function damage(folder) {
  /** @type {Manifest} */
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  } catch {
    return 'its manifest.json is missing or unreadable';
  }
  for (const [path, { bytes }] of Object.entries(manifest)) {
    const size = existsSync(join(folder, path)) ? statSync(join(folder, path)).size : null;
    if (size !== bytes) return `${path} has ${size ?? 'no'} bytes instead of ${bytes}`;
  }
  for (const [path, { sha256 }] of Object.entries(manifest)) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, path), { highWaterMark: 1 << 20 }), hash);
    if (hash.digest('hex') !== sha256)
      return `${path} has another SHA-256 than when it was unpacked`;
  }
  return null;
}

/**
 * The name by which a library is linked: its own (SONAME), since that is what a program that links
 * it asks for when it starts.
 * @param {TensorflowFolder} found
 * @returns {Record<string, string>} file name in deps/lib → target
 */
export function linksFor({ library, framework }) {
  return {
    'libtensorflow.so': library,
    'libtensorflow.so.2': library,
    'libtensorflow_cc.so.2': library,
    'libtensorflow_framework.so': framework,
    'libtensorflow_framework.so.2': framework,
  };
}
