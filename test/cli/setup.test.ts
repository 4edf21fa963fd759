// Installation, as far as it decides: which libtensorflow is taken, when a record still holds, who
// holds the lock. Real folders, real processes; no network.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { compilerArguments, findCompiler } from '../../cli/setup/addon.mjs';
import { cacheFolder, ensureBackend, unsupported } from '../../cli/setup/backend.mjs';
import { testFiles } from '../../cli/setup/checks.mjs';
import { onPath, run, SetupError } from '../../cli/setup/command.mjs';
import { firstOf, sourcesFor } from '../../cli/setup/libtensorflow.mjs';
import { holderLives, ownSignature, withLock } from '../../cli/setup/lock.mjs';
import { packagesMissing } from '../../cli/setup/packages.mjs';
import { outdated, readRecord, writeRecord } from '../../cli/setup/record.mjs';
import {
  damage,
  linksFor,
  readTensorflowFolder,
  usableVersion,
} from '../../cli/setup/tensorflow-folder.mjs';
import { requirements, wheelFolderName } from '../../cli/setup/wheels.mjs';

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-setup-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function put(path: string, text = ''): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
}

/** A folder that looks like TensorFlow's in site-packages. */
function tensorflowIn(sitePackages: string, { version = '2.21.0', cuda = false } = {}): string {
  const folder = join(sitePackages, 'tensorflow');
  put(join(folder, '__init__.py'), 'raise SystemExit("imported")');
  put(join(folder, 'libtensorflow_cc.so.2'));
  put(join(folder, 'libtensorflow_framework.so.2'));
  put(join(folder, 'include', 'tensorflow', 'c', 'c_api.h'));
  put(
    join(folder, 'python', 'platform', 'build_info.py'),
    `build_info = OrderedDict([('is_cuda_build', ${cuda ? 'True' : 'False'})])`,
  );
  put(
    join(sitePackages, `tensorflow-${version}.dist-info`, 'METADATA'),
    `Metadata-Version: 2.1\nName: tensorflow\nVersion: ${version}\n`,
  );
  return folder;
}

const python = onPath('python3');
const withPython = { skip: python === null ? 'no python3 here' : false };
const silent = (): void => {};

/** The answer of Python's site-packages alone. */
async function askPython(sitePackages: string, cache: string, driver = false) {
  const env = { ...process.env, PYTHONPATH: sitePackages };
  const sources = sourcesFor({ env, cache, python, driver, say: silent });
  return firstOf(sources.filter(({ name }) => name === 'Python'));
}

test('the first source that has libtensorflow is taken and later ones are not asked', async (t) => {
  const folder = tensorflowIn(scratch(t));
  const answer = readTensorflowFolder(folder);
  assert.ok('found' in answer);
  const found = { ...answer.found, source: 'second' };
  const asked: string[] = [];
  const result = await firstOf([
    { name: 'first', ask: async () => (asked.push('first'), { problem: 'empty' }) },
    { name: 'second', ask: async () => (asked.push('second'), { found }) },
    { name: 'third', ask: async () => (asked.push('third'), { found }) },
  ]);
  assert.deepEqual(asked, ['first', 'second']);
  assert.ok('found' in result && result.found.source === 'second');
});

test('when no source has it, each says why', async () => {
  const result = await firstOf([
    { name: 'Python', ask: async () => ({ problem: 'not installed' }) },
    { name: 'pip', ask: async () => ({ problem: 'no pip' }) },
  ]);
  assert.deepEqual(result, { problems: ['Python: not installed', 'pip: no pip'] });
});

test('the order is Python, pip, archive; a folder in the environment stands alone', () => {
  const context = { env: {}, cache: '/nowhere', python, driver: false, say: silent };
  const names = (env: NodeJS.ProcessEnv) => sourcesFor({ ...context, env }).map(({ name }) => name);
  assert.deepEqual(names({}), ['Python', 'pip', 'archive']);
  assert.deepEqual(names({ TANDEM_LIBTENSORFLOW: '/x' }), ['TANDEM_LIBTENSORFLOW']);
});

test('a wrong TANDEM_LIBTENSORFLOW is an error that names what is missing', async (t) => {
  const folder = scratch(t);
  const env = { TANDEM_LIBTENSORFLOW: folder };
  const sources = sourcesFor({ env, cache: folder, python, driver: false, say: silent });
  await assert.rejects(firstOf(sources), (error: unknown) => {
    assert.ok(error instanceof SetupError);
    assert.match(error.message, /TANDEM_LIBTENSORFLOW .* libtensorflow_framework\.so\.2/);
    return true;
  });
});

test('the archive layout (lib/, include/) is recognised and linked under all names', (t) => {
  const folder = scratch(t);
  put(join(folder, 'lib', 'libtensorflow.so.2'));
  put(join(folder, 'lib', 'libtensorflow_framework.so.2'));
  put(join(folder, 'include', 'tensorflow', 'c', 'c_api.h'));
  const answer = readTensorflowFolder(folder);
  assert.ok('found' in answer);
  const links = linksFor(answer.found);
  assert.equal(links['libtensorflow_cc.so.2'], answer.found.library);
  assert.equal(links['libtensorflow.so'], answer.found.library);
  assert.equal(links['libtensorflow_framework.so.2'], answer.found.framework);
});

test('a folder without headers is refused', (t) => {
  const folder = tensorflowIn(scratch(t));
  rmSync(join(folder, 'include'), { recursive: true });
  const answer = readTensorflowFolder(folder);
  assert.ok('problem' in answer && answer.problem.includes('c_api.h'));
});

test('TensorFlow in Python is found without being imported', withPython, async (t) => {
  const folder = scratch(t);
  const tensorflow = tensorflowIn(folder);
  const answer = await askPython(folder, folder);
  assert.ok('found' in answer, JSON.stringify(answer));
  assert.equal(answer.found.library, join(tensorflow, 'libtensorflow_cc.so.2'));
});

test('TensorFlow in Python brings the CUDA packages beside it', withPython, async (t) => {
  const folder = scratch(t);
  tensorflowIn(folder, { cuda: true });
  put(join(folder, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9'));
  const answer = await askPython(folder, folder, true);
  assert.ok('found' in answer, JSON.stringify(answer));
  assert.equal(answer.found.nvidia, join(folder, 'nvidia'));
  assert.equal(answer.found.build, 'gpu');
});

test('with an NVIDIA driver a TensorFlow without CUDA is passed over', withPython, async (t) => {
  const folder = scratch(t);
  tensorflowIn(folder);
  const answer = await askPython(folder, folder, true);
  assert.ok('problems' in answer);
  assert.match(answer.problems.join(), /without CUDA/);
});

test('a TensorFlow in Python that is too old is passed over', withPython, async (t) => {
  const folder = scratch(t);
  tensorflowIn(folder, { version: '2.9.1' });
  const answer = await askPython(folder, folder);
  assert.ok('problems' in answer);
  assert.match(answer.problems.join(), /2\.9\.1; 2\.16 or newer/);
});

test('versions are compared as numbers', () => {
  const versions = ['2.16.0', '2.21.0', '2.100.1', '2.9.1', '2.15.9', '1.15.0', '3.0.0', 'x'];
  assert.deepEqual(versions.filter(usableVersion), ['2.16.0', '2.21.0', '2.100.1']);
});

test('every pinned wheel has a version and a SHA-256', () => {
  for (const build of ['cpu', 'gpu'] as const) {
    const lines = requirements(build).trim().split('\n');
    assert.equal(lines.length, build === 'gpu' ? 13 : 1);
    for (const line of lines) assert.match(line, /^[a-z0-9-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
  }
  assert.match(wheelFolderName('cpu'), /^libtensorflow-2\.21\.0-cpu-2b847d21$/);
});

test('a cached library with one changed byte, or cut short, is called damaged', async (t) => {
  const folder = scratch(t);
  const text = 'library';
  const sha256 = createHash('sha256').update(text).digest('hex');
  put(join(folder, 'lib', 'a.so'), text);
  assert.match((await damage(folder)) ?? '', /manifest/);
  put(join(folder, 'manifest.json'), JSON.stringify({ 'lib/a.so': { bytes: 7, sha256 } }));
  assert.equal(await damage(folder), null);
  put(join(folder, 'lib', 'a.so'), 'librarY');
  assert.match((await damage(folder)) ?? '', /SHA-256/);
  put(join(folder, 'lib', 'a.so'), 'lib');
  assert.match((await damage(folder)) ?? '', /3 bytes instead of 7/);
});

test('platforms without TensorFlow are named: musl, arm64, macOS, an old glibc', () => {
  const linux = { platform: 'linux', arch: 'x64', glibc: '2.36' };
  assert.equal(unsupported(linux), null);
  assert.equal(unsupported({ ...linux, glibc: '2.27' }), null);
  assert.match(unsupported({ ...linux, glibc: null }) ?? '', /glibc/);
  assert.match(unsupported({ ...linux, glibc: '2.17' }) ?? '', /2\.17/);
  assert.match(unsupported({ ...linux, arch: 'arm64' }) ?? '', /arm64/);
  assert.match(unsupported({ platform: 'darwin', arch: 'x64', glibc: null }) ?? '', /darwin/);
});

const facts = {
  addon: '4.22.0',
  backend: null,
  libtensorflow: null,
  compiler: '/usr/bin/g++',
  python: '/usr/bin/python3',
  driver: false,
};
const tensorflow = {
  format: 1,
  backend: 'tensorflow',
  version: '2.21.0',
  device: 'cpu',
  source: 'a test',
  build: 'cpu',
  reason: null,
  cure: null,
  facts,
} as const;
const wasm = { ...tensorflow, backend: 'wasm', version: null, device: null, reason: 'x' } as const;

test('a working TensorFlow is kept when compiler, Python or driver go away', () => {
  assert.equal(outdated(tensorflow, { ...facts, compiler: null, python: null }), null);
  const gpu = { ...tensorflow, build: 'gpu', facts: { ...facts, driver: true } } as const;
  assert.equal(outdated(gpu, facts), null);
});

test('wasm is decided anew when a compiler, a Python or a driver appears', () => {
  assert.equal(outdated(wasm, facts), null);
  assert.notEqual(outdated({ ...wasm, facts: { ...facts, compiler: null } }, facts), null);
  assert.notEqual(outdated({ ...wasm, facts: { ...facts, python: null } }, facts), null);
  assert.notEqual(outdated(tensorflow, { ...facts, driver: true }), null);
  assert.notEqual(outdated(tensorflow, { ...facts, backend: 'wasm' }), null);
});

test('a record is read back as written, and one of another format is none', (t) => {
  const root = scratch(t);
  assert.equal(readRecord(root), null);
  writeRecord(root, tensorflow);
  assert.deepEqual(readRecord(root), tensorflow);
  put(join(root, 'node_modules', '.tandem', 'backend.json'), '{"format":2}');
  assert.equal(readRecord(root), null);
});

test('without a C++ compiler wasm is recorded after one warning that tells why and the cure', async (t) => {
  const root = scratch(t);
  put(join(root, 'node_modules/@tensorflow/tfjs-node-gpu/package.json'), '{"version":"4.22.0"}');
  const lines: string[] = [];
  const options = { env: { PATH: root }, say: (line: string) => lines.push(line), anew: false };
  const record = await ensureBackend(root, options);
  assert.equal(record.backend, 'wasm');
  assert.equal(lines.length, 1);
  if (process.platform === 'linux' && process.arch === 'x64') {
    assert.match(lines[0] ?? '', /warning: .*slower.*C\+\+ compiler.*apt-get install g\+\+/);
  }
  assert.deepEqual(readRecord(root), record);
  const forced = { ...options, env: { PATH: root, TANDEM_BACKEND: 'tensorflow' } };
  await assert.rejects(ensureBackend(root, forced), SetupError);
  const nonsense = { ...options, env: { PATH: root, TANDEM_BACKEND: 'cuda' } };
  await assert.rejects(ensureBackend(root, nonsense), /tensorflow or wasm, but is "cuda"/);
});

test('CXX may hold a program with arguments and goes before g++', (t) => {
  const folder = scratch(t);
  writeFileSync(join(folder, 'my-c++'), '#!/bin/sh\n', { mode: 0o755 });
  assert.deepEqual(findCompiler({ PATH: folder, CXX: 'my-c++ -m64' }), [
    join(folder, 'my-c++'),
    '-m64',
  ]);
  assert.equal(findCompiler({ PATH: folder, CXX: 'absent' }), null);
  assert.equal(findCompiler({ PATH: folder }), null);
});

test('the addon looks for libtensorflow beside itself, not where it was built', () => {
  const args = compilerArguments({ folder: '/f', headers: '/h', output: '/o' });
  assert.ok(args.includes('-Wl,-rpath,$ORIGIN/../../deps/lib'));
});

test('the cache follows XDG_CACHE_HOME', () => {
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/c' }), '/c/tandem');
  assert.match(cacheFolder({}), /\.cache\/tandem$/);
});

test('npm packages are compared with the lock file, other platforms aside', (t) => {
  const root = scratch(t);
  const lock = (packages: object) => JSON.stringify({ packages });
  const a = { version: '1.0.0' };
  const foreign = { version: '1.0.0', optional: true };
  put(
    join(root, 'package-lock.json'),
    lock({ '': {}, 'node_modules/a': a, 'node_modules/b': foreign }),
  );
  assert.match(packagesMissing(root) ?? '', /none/);
  const installed = join(root, 'node_modules', '.package-lock.json');
  put(installed, lock({ 'node_modules/a': a }));
  put(join(root, 'node_modules/a/package.json'), '{}');
  assert.equal(packagesMissing(root), null);
  put(installed, lock({ 'node_modules/a': { version: '0.9.0' } }));
  assert.match(packagesMissing(root) ?? '', /a 1\.0\.0/);
  put(installed, lock({ 'node_modules/a': a }));
  rmSync(join(root, 'node_modules/a'), { recursive: true });
  assert.match(packagesMissing(root) ?? '', /gone/);
});

test('the lock file names the binaries of every platform, so `npm ci` takes it, and no host', () => {
  const text = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8');
  type Locked = { optionalDependencies?: Record<string, string>; integrity?: string };
  const packages = JSON.parse(text).packages as Record<string, Locked>;
  for (const [path, locked] of Object.entries(packages)) {
    if (path !== '') assert.match(locked.integrity ?? '', /^sha512-/, path);
    for (const name of Object.keys(locked.optionalDependencies ?? {})) {
      assert.ok(
        `node_modules/${name}` in packages,
        `${path} may need ${name}: not in the lock file`,
      );
    }
  }
  assert.doesNotMatch(text, /"resolved"/);
});

test('of several installers one works at a time', async (t) => {
  const path = join(scratch(t), 'lock');
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inside -= 1;
  };
  const options = { waitMs: 10_000, pollMs: 5, say: silent };
  await Promise.all([1, 2, 3, 4].map(() => withLock(path, work, options)));
  assert.equal(most, 1);
  assert.ok(!existsSync(path));
});

test('the lock of a killed installer is taken over', async (t) => {
  const path = join(scratch(t), 'lock');
  const { pid } = spawnSync(process.execPath, ['--version']);
  put(path, `${pid} 1 ${hostname()}`);
  const seen = await withLock(path, async () => readFileSync(path, 'utf8'), {
    waitMs: 0,
    say: silent,
  });
  assert.equal(seen, ownSignature());
});

test("a process that got a dead holder's number does not pass for it", () => {
  assert.equal(holderLives(ownSignature(), 0), true);
  if (existsSync('/proc/self/stat'))
    assert.equal(holderLives(`${process.pid} 1 ${hostname()}`, 0), false);
});

test('waiting for a living installer ends with its number and the cure', async (t) => {
  const path = join(scratch(t), 'lock');
  put(path, ownSignature());
  const waiting = withLock(path, async () => 1, { waitMs: 20, pollMs: 5, say: silent });
  await assert.rejects(waiting, new RegExp(`process ${process.pid} .*delete ${path}`));
});

test('the lock is let go when the work fails', async (t) => {
  const path = join(scratch(t), 'lock');
  const failing = withLock(path, async () => Promise.reject(new Error('no')), {
    waitMs: 0,
    say: silent,
  });
  await assert.rejects(failing, /no/);
  assert.ok(!existsSync(path));
});

test('a child that outlives its deadline is ended and says so', async () => {
  const outcome = await run(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    timeoutMs: 300,
  });
  assert.equal(outcome.ok, false);
  assert.match(outcome.why, /was ended after/);
});

test('test files come from their sources, and a pattern picks among them', (t) => {
  const root = scratch(t);
  for (const name of ['a/one', 'b/two']) {
    put(join(root, 'test', `${name}.test.ts`));
    put(join(root, 'dist', 'test', `${name}.test.js`));
  }
  put(join(root, 'dist', 'test', 'gone.test.js'));
  assert.deepEqual(testFiles(root), ['dist/test/a/one.test.js', 'dist/test/b/two.test.js']);
  assert.deepEqual(testFiles(root, ['b/']), ['dist/test/b/two.test.js']);
  assert.deepEqual(testFiles(root, ['absent']), []);
});
