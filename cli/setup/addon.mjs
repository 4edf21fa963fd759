/**
 * Step 3: the tfjs addon, compiled against the libtensorflow of step 2 with one call of the C++
 * compiler. No node-gyp: the addon speaks Node-API, whose headers come as an npm package, so one
 * build serves Node 20, 22 and 24.
 *
 * tfjs-node-gpu looks for deps/lib and lib/napi-v8 in its own folder. deps/ holds links only. The
 * loader takes a library's $ORIGIN from the path by which it was opened, not from the link's target:
 * so libtensorflow finds its framework in deps/lib, and CUDA in deps/nvidia.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onPath, run } from './command.mjs';
import { linksFor } from './tensorflow-folder.mjs';

const compileMs = 5 * 60 * 1000;
const probeMs = 120_000;
const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'];

/** @param {string} root */
export function addonFolder(root) {
  return join(root, 'node_modules', '@tensorflow', 'tfjs-node-gpu');
}

/** @param {string} root */
export function addonFile(root) {
  return join(addonFolder(root), 'lib', 'napi-v8', 'tfjs_binding.node');
}

/**
 * Whether the addon is built and what it links to is still there.
 * @param {string} root
 */
export function addonStands(root) {
  const libraries = join(addonFolder(root), 'deps', 'lib');
  return (
    existsSync(addonFile(root)) &&
    existsSync(join(libraries, 'libtensorflow_cc.so.2')) &&
    existsSync(join(libraries, 'libtensorflow_framework.so.2'))
  );
}

/**
 * The C++ compiler as program and first arguments (CXX may hold both), or null.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[] | null}
 */
export function findCompiler(env) {
  const named = (env['CXX'] ?? '').split(/\s+/).filter((word) => word !== '');
  const ways = named.length > 0 ? [named] : [['g++'], ['clang++'], ['c++']];
  for (const [name = '', ...args] of ways) {
    const program = onPath(name, env['PATH']);
    if (program !== null) return [program, ...args];
  }
  return null;
}

/**
 * Points deps/ at a libtensorflow.
 * @param {string} root
 * @param {import('./tensorflow-folder.mjs').TensorflowFolder} found
 */
export function linkTensorflow(root, found) {
  const deps = join(addonFolder(root), 'deps');
  const fresh = `${deps}.partial`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(join(fresh, 'lib'), { recursive: true });
  for (const [name, target] of Object.entries(linksFor(found))) {
    symlinkSync(target, join(fresh, 'lib', name));
  }
  symlinkSync(found.include, join(fresh, 'include'));
  if (found.nvidia !== null) symlinkSync(found.nvidia, join(fresh, 'nvidia'));
  rmSync(deps, { recursive: true, force: true });
  renameSync(fresh, deps);
}

/**
 * Compiles the addon, or copies what this user's cache holds from the same sources, headers,
 * compiler and libtensorflow.
 * @param {{
 *   root: string,
 *   cache: string,
 *   compiler: string[],
 *   found: import('./tensorflow-folder.mjs').TensorflowFolder,
 *   say: import('./command.mjs').Say,
 * }} what
 * @returns {Promise<string | null>} what went wrong
 */
export async function buildAddon({ root, cache, compiler, found, say }) {
  const [program = '', ...first] = compiler;
  const version = await run(program, [...first, '--version'], { timeoutMs: 30_000 });
  if (!version.ok) return version.why;
  const folder = addonFolder(root);
  const headers = join(root, 'node_modules', 'node-api-headers', 'include');
  const inputs = [
    ...readdirSync(join(folder, 'binding')).map((name) => join(folder, 'binding', name)),
    join(headers, 'node_api.h'),
    join(headers, 'js_native_api.h'),
    join(found.include, 'tensorflow', 'c', 'c_api.h'),
  ];
  const hash = createHash('sha256').update(version.stdout).update(found.library);
  for (const path of inputs) hash.update(readFileSync(path));
  const kept = join(cache, `tfjs-binding-${hash.digest('hex').slice(0, 16)}.node`);

  const output = addonFile(root);
  mkdirSync(join(output, '..'), { recursive: true });
  if (!existsSync(kept)) {
    say('compiling the tfjs addon (about 10 seconds) …');
    const fresh = `${output}.partial`;
    const args = compilerArguments({ folder, headers, output: fresh });
    const outcome = await run(program, [...first, ...args], { timeoutMs: compileMs });
    if (!outcome.ok) {
      return `the C++ compiler refused the addon: ${firstError(outcome.stderr) ?? outcome.why}`;
    }
    mkdirSync(cache, { recursive: true });
    copyFileSync(fresh, `${kept}.${process.pid}`);
    renameSync(`${kept}.${process.pid}`, kept);
    renameSync(fresh, output);
    return null;
  }
  copyFileSync(kept, `${output}.partial`);
  renameSync(`${output}.partial`, output);
  return null;
}

/** @param {{ folder: string, headers: string, output: string }} paths */
export function compilerArguments({ folder, headers, output }) {
  return [
    '-std=c++17',
    '-O2',
    '-fPIC',
    '-shared',
    '-DNAPI_VERSION=8',
    `-I${folder}`,
    `-I${join(folder, 'deps', 'include')}`,
    `-I${headers}`,
    ...sources.map((name) => join(folder, 'binding', name)),
    `-L${join(folder, 'deps', 'lib')}`,
    '-ltensorflow',
    '-ltensorflow_framework',
    '-Wl,-rpath,$ORIGIN/../../deps/lib',
    '-o',
    output,
  ];
}

/** @param {string} text */
function firstError(text) {
  const line = text.split('\n').find((candidate) => /error/i.test(candidate));
  return line === undefined ? null : line.trim().slice(0, 300);
}

/**
 * Loads the addon in a process of its own (a library built for another processor kills the process
 * that loads it) and multiplies two matrices.
 * @param {string} root
 * @returns {Promise<{ version: string, device: 'gpu' | 'cpu' } | { problem: string }>}
 */
export async function probeAddon(root) {
  const script = fileURLToPath(new URL('./probe.mjs', import.meta.url));
  const outcome = await run(process.execPath, [script, root], {
    timeoutMs: probeMs,
    // The probe must not take the whole memory of a GPU on which somebody else is training.
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', TF_FORCE_GPU_ALLOW_GROWTH: 'true' },
  });
  if (!outcome.ok) return { problem: `it does not load: ${outcome.why}` };
  const line = outcome.stdout.trim().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line);
  } catch {
    return { problem: `the probe printed no result but "${line.slice(0, 200)}"` };
  }
}
