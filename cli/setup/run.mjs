/**
 * The npm scripts. Each first sees to it that what it needs is installed, then does its work:
 *
 *   start [OPTIONS]           trains the demo; options are those of `tandem train`
 *   test [PATTERN|--OPTION]   checks and tests; with a pattern only the test files that match it
 *   chaos [OPTIONS]           a run under fire against a quiet one; options in test/chaos/options.ts;
 *                             --crash-points, --lies, --hostile, --hosts: crash/, chaos/, hostile/
 *   sim [OPTIONS]             simulated clusters under faults; options in test/sim/main.ts
 *   test:manifests, :cluster  manifests before linters and schemas; before a real control plane
 *   setup, backend            installs all, asks the sources of TensorFlow again; TensorFlow alone
 *   build                     npm packages and the TypeScript build only
 *   check                     format, linter, types, house test
 *
 * Environment: TANDEM_BACKEND=wasm|tensorflow, TANDEM_LIBTENSORFLOW=FOLDER, TANDEM_CUDA=1|0, CXX.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { cacheFolder, ensureBackend } from './backend.mjs';
import { checksFor, testArguments, testFiles } from './checks.mjs';
import { run, say, SetupError, stopChildren } from './command.mjs';
import { withLock } from './lock.mjs';
import { findNatsServer } from './nats.mjs';
import { ensurePackages } from './packages.mjs';

/** @typedef {import('./record.mjs').BackendRecord} BackendRecord */

const root = fileURLToPath(new URL('../../', import.meta.url));
const compileMs = 10 * 60 * 1000;
const checkMs = 5 * 60 * 1000;
const lockMs = 60 * 60 * 1000;

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function installing(work) {
  // While we install, a signal must end the children too; afterwards it belongs to the program.
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    stopChildren();
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return await withLock(join(root, '.cache', 'setup.lock'), work, { waitMs: lockMs, say });
  } finally {
    for (const signal of signals) process.removeListener(signal, stop);
  }
}

/** @param {readonly string[]} projects folders with a tsconfig.json; none: all of them */
async function compile(projects = []) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [tsc, '-b', ...projects];
  const outcome = await run(process.execPath, args, {
    cwd: root,
    timeoutMs: compileMs,
    show: true,
  });
  if (!outcome.ok)
    throw new SetupError("the TypeScript build failed; the compiler's words stand above.");
}

/**
 * @param {{ projects?: readonly string[], anew?: boolean }} options
 * @returns {Promise<BackendRecord>}
 */
function everything({ projects = [], anew = false } = {}) {
  return installing(async () => {
    await ensurePackages(root, say);
    const record = await ensureBackend(root, { env: process.env, say, anew });
    await compile(projects);
    return record;
  });
}

/** @param {string[]} options */
async function start(options) {
  // The tests need not compile for the training to start.
  const record = await everything({ projects: ['cli'] });
  const asked = options[options.indexOf('--backend') + 1];
  const wasm = options.includes('--backend') ? asked === 'wasm' : record.backend === 'wasm';
  const config = join(
    root,
    'deploy',
    wasm || options.includes('--backend=wasm') ? 'demo-wasm.yaml' : 'demo.yaml',
  );
  // In this very process: signals, the terminal and the exit status are then the program's own.
  const launcher = join(root, 'cli', 'bin.js');
  process.argv = [process.execPath, launcher, 'train', '--config', config, ...options];
  await import(pathToFileURL(launcher).href);
}

/** @returns {Promise<boolean>} whether all passed */
async function checks() {
  for (const { name, program, args, cure } of checksFor(root)) {
    const outcome = await run(program, args, { cwd: root, timeoutMs: checkMs, show: true });
    if (outcome.ok) continue;
    say(`check "${name}" failed (${outcome.why}). Repair: ${cure}`);
    return false;
  }
  return true;
}

/**
 * @param {readonly string[]} files
 * @param {readonly string[]} options
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit status
 */
const runTests = (files, options, env) => runNode(testArguments(files, options), env);

/**
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit status
 */
function runNode(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env,
      stdio: 'inherit',
    });
    // A terminal's Ctrl-C reaches the runner too; a SIGTERM of ours has to be passed on.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    process.on('SIGHUP', () => child.kill('SIGHUP'));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

/** @param {string[]} words patterns, and options for Node */
async function test(words) {
  await everything();
  const patterns = words.filter((word) => !word.startsWith('-'));
  const options = words.filter((word) => word.startsWith('-'));
  // With a pattern somebody is at work on one thing: format and lint can wait for the whole run.
  if (patterns.length === 0 && !(await checks())) return 1;
  const files = testFiles(root, patterns);
  if (files.length === 0) {
    throw new SetupError(
      `no test file below test/ has ${patterns.join(' or ') || 'the ending .test.ts'} in its path.`,
    );
  }
  const server = await natsServer();
  const env = server === null ? process.env : { ...process.env, TANDEM_NATS_SERVER: server };
  return runTests(files, options, env);
}

async function natsServer() {
  const { env } = process;
  if (env['TANDEM_NATS_SERVER']) return env['TANDEM_NATS_SERVER'];
  const found = await findNatsServer({ cache: cacheFolder(env), env, say });
  if (found === null && env['CI']) {
    throw new SetupError(
      'the tests need nats-server under CI, and it could neither be found, fetched nor built.',
    );
  }
  if (found === null)
    say('warning: no nats-server is to be had; the tests that need a real one are skipped.');
  return found;
}

/** All that is needed where TensorFlow is not. */
const packagesAndBuild = () =>
  installing(async () => {
    await ensurePackages(root, say);
    await compile();
  });

async function check() {
  await packagesAndBuild();
  if (!(await checks())) return 1;
  const house = testFiles(root, ['house']);
  return house.length === 0 ? 0 : runTests(house, [], process.env);
}

/** @param {string[]} words */
async function chaos(words) {
  const own = {
    '--crash-points': 'crash/main',
    '--hosts': 'chaos/multi-host',
    '--lies': 'chaos/lies-main',
    '--hostile': 'hostile/main',
  };
  const [, program = 'chaos/main'] =
    Object.entries(own).find(([word]) => words.includes(word)) ?? [];
  // Without a model of its own the smallest one is trained, which needs no TensorFlow.
  if (program === 'chaos/main' && words.some((word) => word.startsWith('--model')))
    await everything();
  else await packagesAndBuild();
  return runNode([join('dist', 'test', `${program}.js`), ...words], process.env);
}

/** @param {string[]} words */
async function sim(words) {
  await packagesAndBuild();
  return runNode([join('dist', 'test', 'sim', 'main.js'), ...words], process.env);
}

/** Opt-in tests of test/cluster. @param {readonly string[]} names @param {NodeJS.ProcessEnv} env */
const clusterTests = (names, env) =>
  runTests(
    names.map((name) => join('dist', 'test', 'cluster', `${name}.js`)),
    ['--test-concurrency=1', '--test-timeout=5400000'],
    env,
  );

async function manifests() {
  await packagesAndBuild();
  return clusterTests(['lint'], process.env);
}

async function cluster() {
  await everything();
  const server = await natsServer();
  const env = server === null ? process.env : { ...process.env, TANDEM_NATS_SERVER: server };
  return clusterTests(['overlays', 'replay'], env);
}

/** @type {Record<string, (words: string[]) => Promise<number | void>>} */
const commands = {
  start,
  chaos,
  test,
  'test:manifests': manifests,
  'test:cluster': cluster,
  sim,
  check,
  setup: async () => {
    await everything({ anew: true });
    say('everything is installed. Train with: npm start');
  },
  backend: async () => {
    await installing(() => ensureBackend(root, { env: process.env, say, anew: true }));
  },
  build: packagesAndBuild,
};

const [name = '', ...words] = process.argv.slice(2);
const command = commands[name];
try {
  if (command === undefined) {
    throw new SetupError(`"${name}" is none of: ${Object.keys(commands).join(', ')}.`);
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 15)) {
    throw new SetupError(
      `Node 20.15 or newer is needed, this is ${process.versions.node}. Install Node 20, 22 or 24.`,
    );
  }
  const status = await command(words);
  if (typeof status === 'number') process.exitCode = status;
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(`error: ${error.message}`);
  process.exitCode = 1;
}
