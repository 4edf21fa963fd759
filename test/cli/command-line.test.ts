/**
 * The command line as a user meets it: every refusal is one line with a code and a sysexit, every
 * example of the help parses as written.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Io } from '../../cli/io.ts';
import { commands, prepare, run } from '../../cli/main.ts';
import { failures } from '../../shared/core/failures.ts';

const folder = mkdtempSync(join(tmpdir(), 'tandem-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Collected extends Io {
  out(): string;
  err(): string;
}

function collect(env: Io['env'] = {}): Collected {
  const out: string[] = [];
  const err: string[] = [];
  return {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env,
    out: () => out.join(''),
    err: () => err.join(''),
  };
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

mkdirSync(join(folder, 'empty'));
const badYaml = write('bad.yaml', 'batch: 64\nseed: [1\n');
const listYaml = write('list.yaml', '- batch\n- seed\n');
const twiceYaml = write('twice.yaml', 'batch: 64\nseed: 1\nbatch: 32\n');
const typoYaml = write('typo.yaml', '# a run\nbatch: 64\n\nmicrobatch: 8\n');
const wrongYaml = write('wrong.yaml', 'data: .\nworkers: two\n');
const openYaml = write('open.yaml', 'data: .\nlisten: 0.0.0.0:7070\n');
const aliasYaml = write(
  'alias.yaml',
  `a: &a [x, x]\n${[...'bcdefg'].map((c, i) => `${c}: &${c} [*${'abcdefg'[i]}, *${'abcdefg'[i]}, *${'abcdefg'[i]}]`).join('\n')}\n`,
);
const aFile = write('photo.jpg', 'not a folder');
const absent = join(folder, 'absent');

/** [arguments, exit code, part of the message, code]. */
const refused: [string[], number, string, keyof typeof failures][] = [
  [['trian'], 64, 'unknown command "trian". Did you mean "train"?', 'bad-option'],
  [['frobnicate'], 64, 'unknown command "frobnicate". There are: train,', 'bad-option'],
  [['--verbos'], 64, 'unknown option "--verbos". Did you mean "--verbose"?', 'bad-option'],
  [['train', '--bach', '64'], 64, 'unknown option "--bach". Did you mean "--batch"?', 'bad-option'],
  [['train', '--bach=64'], 64, 'unknown option "--bach". Did you mean "--batch"?', 'bad-option'],
  [['train', '--zzz'], 64, 'unknown option "--zzz". See npx tandem train --help.', 'bad-option'],
  [['watch', '--jsn'], 64, 'unknown option "--jsn". Did you mean "--json"?', 'bad-option'],
  [['train', '--size'], 64, '--size needs a value: --size <PIXELS>.', 'bad-option'],
  [['train'], 64, 'say what to train on: --data DIR', 'bad-option'],
  [['train', 'photos'], 64, 'unexpected "photos". A folder is --data photos.', 'bad-option'],
  [['train', '--data', absent], 66, `there is no folder ${absent}: check --data.`, 'data-missing'],
  [['train', '--data', aFile], 66, '--data expects a folder of images, and', 'data-missing'],
  [
    ['train', '--data', '.', '--batch', '100'],
    64,
    'not a multiple of the micro-batch',
    'bad-option',
  ],
  [
    ['train', '--data', '.', '--seed', '-1'],
    64,
    '--seed expects a whole number from 0',
    'bad-option',
  ],
  [['train', '--data', '.', '--epochs', '1', '--steps', '2'], 64, 'give one of them', 'bad-option'],
  [['train', '--data', '.', '--min-workers', '3'], 64, 'wait for ever', 'bad-option'],
  [['train', '--data', '.', '--listen', '0.0.0.0:0'], 78, 'add --insecure', 'insecure-listen'],
  [['train', '--config', absent], 78, `cannot read the config file ${absent}`, 'bad-config'],
  [['train', '--config', folder], 78, 'cannot read the config file', 'bad-config'],
  [['train', '--config', badYaml], 78, 'bad.yaml:3: this is not valid YAML', 'bad-config'],
  [['train', '--config', listYaml], 78, 'expected lines such as "batch: 128"', 'bad-config'],
  [['train', '--config', twiceYaml], 78, 'twice.yaml:3: this is not valid YAML', 'bad-config'],
  [
    ['train', '--config', typoYaml],
    78,
    'typo.yaml:4: unknown option "microbatch". Did',
    'bad-config',
  ],
  [
    ['train', '--config', wrongYaml],
    78,
    'wrong.yaml:2: workers expects a whole number',
    'bad-config',
  ],
  [['train', '--config', openYaml], 78, 'listening on 0.0.0.0:7070', 'insecure-listen'],
  [['train', '--config', aliasYaml], 78, 'alias.yaml', 'bad-config'],
  [['coordinator'], 64, 'say what to train on', 'bad-option'],
  [['coordinator', '--workers', '2'], 64, 'unknown option "--workers"', 'bad-option'],
  [['worker'], 64, 'say which coordinator to join', 'bad-option'],
  [['worker', '--coordinator', '7070'], 64, '--coordinator expects HOST:PORT', 'bad-option'],
  [['worker', '--coordinator', 'a:1', '--name', 'a b'], 64, '--name expects', 'bad-option'],
  [['worker', '--run', absent], 69, 'no coordinator lives in', 'coordinator-unreachable'],
  [['watch'], 64, 'say which run to watch', 'bad-option'],
  [['watch', absent], 66, 'there is no run folder', 'run-missing'],
  [['watch', aFile], 66, 'is a file; a run is a folder', 'run-missing'],
  [['watch', '.', '--since', 'x'], 64, '--since expects a whole number from 0', 'bad-option'],
  [
    ['watch', '--nats', 'nats://127.0.0.1:1'],
    69,
    'no NATS server answers',
    'coordinator-unreachable',
  ],
  [['status'], 64, 'say which run', 'bad-option'],
  [['status', join(folder, 'empty')], 66, 'is not a run folder', 'run-missing'],
  [
    ['train', '--data', '.', '--workers', '0'],
    64,
    '--workers expects a whole number from 1 to 256, not "0"',
    'bad-option',
  ],
  [
    ['eval', 'knn', 'a', '--workers', '257'],
    64,
    '--workers expects a whole number from 0 to 256, not "257"',
    'bad-option',
  ],
  [['digest'], 64, 'say which run: tandem digest RUN', 'bad-option'],
  [['digest', 'a', 'b'], 64, 'too many arguments', 'bad-option'],
  [['digest', absent], 66, 'there is no run folder', 'run-missing'],
  [['data', 'preview', '--data', '.', '--count', '0'], 64, '--count expects', 'bad-option'],
  [['data', 'preview', '--data', '.', '--out', 'a.gif'], 64, '--out expects', 'bad-option'],
];

for (const [argv, exit, message, code] of refused) {
  test(`tandem ${argv.join(' ').replaceAll(folder, 'FOLDER')} exits ${exit}`, async () => {
    const io = collect();
    assert.equal(await run(argv, io), exit);
    const [line = '', ...rest] = io.err().split('\n');
    assert.ok(line.startsWith('tandem: ') && line.includes(message), line);
    assert.ok(line.endsWith(`(${code})`), line);
    assert.deepEqual(rest, [''], 'one line, no stack');
    assert.equal(failures[code].exit, exit);
    assert.equal(io.out(), '');
  });
}

for (const command of commands) {
  for (const [what, line] of command.examples) {
    test(`the example "${line}" (${what}) parses as written`, () => {
      assert.equal(typeof prepare(line.split(' '), collect()), 'function');
    });
  }

  test(`the help of ${command.name} shows its examples and exits 0`, async () => {
    const io = collect();
    assert.equal(await run([...command.name.split(' '), '--help'], io), 0);
    for (const [, line] of command.examples) assert.ok(io.out().includes(`npx tandem ${line}`));
    assert.equal(io.err(), '');
  });
}

test('the reference tells of every command', () => {
  const reference = readFileSync(new URL('../../../docs/reference.md', import.meta.url), 'utf8');
  for (const { name } of commands)
    assert.match(reference, new RegExp(`^\\|[^|]*\`${name}[ \`]`, 'm'), name);
});

test('a run that is named twice is refused by every command that takes one', async () => {
  const asked: string[] = [];
  for (const { name, positional } of commands) {
    const words = name.split(' ');
    const help = collect();
    await run([...words, '--help'], help);
    if (!/^\[?RUN\]?$/.test(positional) || !help.out().includes(' --run <DIR>')) continue;
    asked.push(name);
    const io = collect();
    assert.equal(await run([...words, 'runs/b', '--run', 'runs/a'], io), 64, name);
    const message = 'tandem: two runs: "runs/b" and --run runs/a. Give one of them. (bad-option)\n';
    assert.equal(io.err(), message, name);
  }
  const evaluations = ['eval linear', 'eval knn', 'eval classifier'];
  assert.deepEqual(asked, ['watch', 'dashboard', 'status', 'digest', 'verify', ...evaluations]);
});

test('every command with a result gives it as JSON', async () => {
  // A worker has no result; a schema is JSON, a completion for a shell; certificates and tokens are files.
  const files = ['certs', 'token mint', 'token revoke'];
  const without = ['worker', 'config schema', 'completion', ...files];
  for (const { name } of commands) {
    const io = collect();
    await run([...name.split(' '), '--help'], io);
    assert.equal(/ --json\b/.test(io.out()), !without.includes(name), name);
  }
});

test('--verbose adds the stack, and only then', async () => {
  const io = collect();
  assert.equal(await run(['train', '--verbose', '--config', absent], io), 78);
  assert.match(io.err(), /\n\s+at /);
});

test('the version is that of the package', async () => {
  const io = collect();
  assert.equal(await run(['--version'], io), 0);
  assert.match(io.out(), /^\d+\.\d+\.\d+\n$/);
});

test('a reader that has gone away is no failure', () => {
  const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
  for (const args of ['supervised --help', '--version', 'config print --data synthetic']) {
    // `true` has ended long before the program is loaded.
    const line = `{ "${process.execPath}" "${bin}" ${args}; echo "exit $?" >&2; } | true`;
    const { stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
    assert.equal(stderr, 'exit 0\n', args);
  }
});

test('no arguments show the help', async () => {
  const io = collect();
  assert.equal(await run([], io), 0);
  assert.match(io.out(), /Commands:\n\s+train/);
});

test('the environment names a coordinator where nothing else does', () => {
  const env = { TANDEM_COORDINATOR: '127.0.0.1:7070' };
  for (const name of ['worker', 'watch', 'status']) {
    assert.equal(typeof prepare([name], collect(env)), 'function');
  }
});

test('escape sequences in a message never reach the terminal', async () => {
  const io = collect();
  await run(['watch', 'x\u001b[2J'], io);
  assert.ok(!io.err().includes('\u001b'), io.err());
});
