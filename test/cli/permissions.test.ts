/**
 * Files and folders that this user may not read or write: said in one line with what to do, nothing
 * taken for empty. Root may do everything, so root runs these as nobody.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { type FailureCode, failures } from '../../shared/core/failures.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const base = mkdtempSync(join(tmpdir(), 'tandem-permissions-'));
chmodSync(base, 0o755);
const closed: string[] = [];
after(() => {
  for (const path of closed) chmodSync(path, 0o700);
  rmSync(base, { recursive: true, force: true });
});
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

function tandem(...args: string[]) {
  const env = { PATH: process.env['PATH'], HOME: join(base, 'home'), XDG_CACHE_HOME: base };
  const cwd = join(base, 'mine');
  return spawnSync(process.execPath, [bin, ...args], {
    ...nobody,
    cwd,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
}

/** May this user read the program at all? A clone below root's home is closed to nobody. */
const reachable = (): boolean => tandem('--version').status === 0;

const jpeg = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#c83' } })
  .jpeg()
  .toBuffer();
function put(path: string, content: Uint8Array | string): string {
  const full = join(base, path);
  mkdirSync(join(full, '..'), { recursive: true });
  writeFileSync(full, content);
  return full;
}
function close(path: string): string {
  chmodSync(path, 0);
  closed.push(path);
  return path;
}
mkdirSync(join(base, 'mine'));
put('photos/open.jpg', jpeg);
close(put('photos/closed.jpg', jpeg));
put('photos/folder/a.jpg', jpeg);
close(join(base, 'photos/folder'));
put('shut/a.jpg', jpeg);
close(join(base, 'shut'));
const small = ['--model', 'resnet18-cifar', '--size', '8', '--batch', '4', '--micro-batch', '2'];
put('run/config.yaml', 'data: synthetic\n');
close(put('run/events.jsonl', '{"seq":1}\n'));

const table: [string, string[], FailureCode, RegExp][] = [
  [
    'a folder of images',
    ['data', 'inspect', join(base, 'shut')],
    'data-missing',
    /permission denied.*Check the path given as --data/,
  ],
  [
    'a file of options',
    ['train', '--data', 'synthetic', '--config', close(put('a.yaml', 'seed: 1\n'))],
    'bad-config',
    /cannot read the config file .*permission denied.*Check --config/,
  ],
  [
    'the place of a run',
    ['coordinator', '--data', 'synthetic:8', ...small, '--run', join(base, 'new')],
    'disk',
    /cannot make the run folder .*permission denied.*Choose another --run/,
  ],
  [
    'the place of runs',
    ['train', '--data', 'synthetic:256'],
    'disk',
    /cannot make a run folder in runs: .*Use --run DIR/,
  ],
  [
    'the place of a picture',
    ['data', 'preview', '--data', 'synthetic:4', '--out', join(base, 'a.png')],
    'disk',
    /permission denied.*Give this user permission, or name another place/,
  ],
  ['the events of a run', ['status', join(base, 'run')], 'disk', /events\.jsonl.*permission/],
  [
    'the events that are watched',
    ['watch', join(base, 'run')],
    'disk',
    /events\.jsonl.*permission/,
  ],
  [
    'the place of a download',
    ['data', 'get', 'flowers', '--to', join(base, 'flowers'), '--url', 'http://127.0.0.1:9/x'],
    'disk',
    /cannot make the folder .*Name another --to/,
  ],
];

for (const [what, args, code, says] of table) {
  test(`no permission for ${what}: ${code}`, (t) => {
    if (!reachable()) return t.skip('nobody may not read this clone');
    const { status, stderr } = tandem(...args);
    assert.equal(status, failures[code].exit, stderr);
    const line = stderr.trimEnd().split('\n').at(-1) ?? '';
    assert.match(line, says);
    assert.ok(line.startsWith('tandem: ') && line.endsWith(`(${code})`), line);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
}

test('images and folders that may not be read are left out, and said; no cache is needed', (t) => {
  if (!reachable()) return t.skip('nobody may not read this clone');
  const { status, stdout, stderr } = tandem('data', 'inspect', join(base, 'photos'), '--json');
  assert.equal(status, 0, stderr);
  const { images, leftOut } = JSON.parse(stdout);
  assert.equal(images, 1);
  assert.deepEqual(leftOut, [
    { reason: 'no permission to read it', files: 2, examples: ['closed.jpg', 'folder'] },
  ]);
});
