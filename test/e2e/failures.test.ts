/**
 * Failures that only whole processes can meet: no addon, no GPU, a program that dies again and again,
 * a worker that nobody knows. Each once, in one line, with its code.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type FailureCode, failures } from '../../shared/core/failures.ts';
import { addressOf, scratch, startTandem } from '../support/processes.ts';

const small = ['--model', 'resnet18-cifar', '--size', '8', '--batch', '4', '--micro-batch', '2'];
const method = ['--data', 'synthetic:8', ...small, '--steps', '1'];
const preload = (code: string) => ({
  NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(code)}`,
});

/** As if the addon had never been built. */
const withoutAddon = preload(`
  import Module from 'node:module';
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (name, ...rest) {
    if (name === '@tensorflow/tfjs-node-gpu') throw new Error('Cannot find module ' + name);
    return resolve.call(this, name, ...rest);
  };`);
const workersDie = preload(`if (process.argv[2] === 'worker') process.abort();`);

const table: [string, string[], NodeJS.ProcessEnv, FailureCode, RegExp][] = [
  [
    'TensorFlow was asked for and its addon is not there',
    ['train', ...method, '--workers', '1', '--backend', 'tensorflow'],
    withoutAddon,
    'backend-missing',
    /Expected TensorFlow's addon.*Run `npm run setup`, or take --backend wasm/,
  ],
  [
    'a worker dies again and again',
    ['train', ...method, '--workers', '1'],
    workersDie,
    'too-many-restarts',
    /worker-1 died 6 times in a row \(last: SIGABRT\).*--verbose says more/,
  ],
];
if (!existsSync('/dev/nvidia0'))
  table.push([
    'a GPU is required where there is none',
    ['train', ...method, '--workers', '1', '--require-gpu'],
    {},
    'gpu-missing',
    /--require-gpu expects a GPU.*or leave the option out/,
  ]);

describe('failures of whole processes', { concurrency: 1, timeout: 600_000 }, () => {
  for (const [what, args, env, code, says] of table)
    it(`${what}: ${code}`, async (t) => {
      const training = startTandem(t, [...args, '--run', join(scratch(t), 'run')], env);
      assert.equal(await training.ended, failures[code].exit, training.err());
      const line = training.err().trimEnd().split('\n').at(-1) ?? '';
      assert.match(line, says);
      assert.ok(line.startsWith('tandem: ') && line.endsWith(`(${code})`), line);
      assert.doesNotMatch(training.err(), /\n\s+at /);
    });

  it('a worker that nobody knows cannot be drained: worker-missing', async (t) => {
    const run = join(scratch(t), 'run');
    const coordinator = startTandem(t, ['coordinator', ...method, '--run', run]);
    const address = await addressOf(coordinator);
    const drain = startTandem(t, ['drain', 'nobody', '--coordinator', address]);
    assert.equal(await drain.ended, failures['worker-missing'].exit, drain.err());
    assert.match(drain.err(), /nobody.*\(worker-missing\)\n$/);
  });
});
