/**
 * Blocks of the README, run by a shell as they stand, with smaller sizes put in: from photographs to a
 * run that is watched, and the promise.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { scratch } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const small = '--model resnet18-cifar --size 8 --batch 8 --micro-batch 4 --steps 2';

/** The shell blocks below a heading. */
function blocksOf(heading: string): string[] {
  const [, section = ''] = readme.split(`\n## ${heading}\n`);
  const blocks = [...section.split('\n## ')[0]!.matchAll(/^```sh\n([\s\S]*?)^```/gm)];
  assert.ok(blocks.length > 0, `"${heading}" has no block`);
  return blocks.map(([, block = '']) => block);
}

/** Replaces what must be there. */
function swap(text: string, from: string | RegExp, to: string): string {
  const changed = text.replace(from, to);
  assert.notEqual(changed, text, `${from} is not in: ${text}`);
  return changed;
}

interface Shell {
  home: string;
  run(script: string): Promise<string>;
}

function shell(t: TestContext): Shell {
  const home = scratch(t);
  mkdirSync(join(home, 'bin'));
  const launcher = `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(root, 'cli/bin.js')}" "$@"\n`;
  writeFileSync(join(home, 'bin', 'npx'), launcher, { mode: 0o755 });
  const env = { ...process.env, HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH']}` };
  return {
    home,
    async run(script) {
      const child = spawn('bash', ['-euo', 'pipefail', '-c', script], { cwd: home, env });
      t.after(() => child.kill('SIGKILL'));
      let all = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          all += text;
        });
      const [code] = await once(child, 'close');
      assert.equal(code, 0, all);
      assert.doesNotMatch(all, /\n\s+at /);
      return all;
    },
  };
}

async function photographs(home: string): Promise<void> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  for (const kind of ['daisy', 'rose']) {
    mkdirSync(join(home, 'photos', kind), { recursive: true });
    const image = sharp({
      create: { width: 40, height: 30, channels: 3, background: '#c83', noise },
    });
    await image.jpeg().toFile(join(home, 'photos', kind, '0.jpg'));
    for (let i = 1; i < 8; i += 1)
      copyFileSync(join(home, 'photos', kind, '0.jpg'), join(home, 'photos', kind, `${i}.jpg`));
  }
}

describe('the README as it stands', { concurrency: 1, timeout: 900_000 }, () => {
  it('own photographs: looked at, shown, trained, and the run is watched', async (t) => {
    const { home, run } = shell(t);
    await photographs(home);
    const [block = ''] = blocksOf('Your own photographs');
    const told = await run(
      swap(block, '--size 64 --batch 128 --micro-batch 32 --epochs 20', small),
    );
    assert.match(told, /Node +\d+/);
    assert.match(told, /16 images in 2 classes/);
    assert.match(told, /preview\.png: 16 pairs/);
    assert.match(told, /kNN accuracy/);
    assert.match(told, /digest +[0-9a-f]{64}/);
    const [watch = ''] = blocksOf('Watch');
    const lines = watch.split('\n').filter((line) => /^npx tandem (status|watch) runs/.test(line));
    assert.equal(lines.length, 2);
    const watched = await run(lines.join('\n'));
    assert.match(watched, /run 0001: done/);
    assert.match(watched, /done at step 2/);
  });

  it('the promise: one hash, no difference, proven', async (t) => {
    const { run } = shell(t);
    const [block = ''] = blocksOf('Check the promise');
    const given = /^set -- (.*)$/m.exec(block)?.[1] ?? '';
    const smaller = swap(block, given, `--data synthetic:16 ${small}`);
    const told = await run(swap(smaller, /step-0+12/, 'step-00000002'));
    const hashes = [...told.matchAll(/^([0-9a-f]{64})( |$)/gm)].map(([, hash]) => hash);
    assert.equal(hashes.length, 3);
    assert.equal(new Set(hashes).size, 1);
    assert.match(told, /every claim holds up to step 2/);
  });
});
