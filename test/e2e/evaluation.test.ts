/**
 * Evaluations with real processes and TensorFlow: the same figures at any number of workers, the
 * untrained network calibrated, everything kept in the run folder, and clear refusals.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { asEvaluation, type Evaluation } from '../../shared/core/evaluation.ts';
import { scratch, startTandem, tandem } from '../support/processes.ts';

type Printed = Evaluation & { file: string };

describe('what the features of a checkpoint are worth', { timeout: 600_000 }, () => {
  it('is the same at any number of workers, and is kept', async (t) => {
    const run = join(scratch(t), 'run');
    const data = ['--data', 'synthetic:96', '--size', '32', '--validation', '0.25'];
    const method = ['--batch', '8', '--micro-batch', '4', '--steps', '1', '--workers', '1'];
    await tandem(t, ['train', ...data, ...method, '--run', run, '--quiet']);
    const evaluated = async (...args: string[]): Promise<Printed> => {
      const out = await tandem(t, ['eval', ...args, '--json']);
      const printed = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Printed;
      const { file, ...evaluation } = printed;
      assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), evaluation);
      assert.ok(asEvaluation(evaluation));
      return printed;
    };
    const one = await evaluated('knn', run, '--workers', '1', '--k', '5', '--fresh');
    const two = await evaluated('knn', run, '--workers', '2', '--k', '5', '--fresh');
    assert.deepEqual({ ...two, time: '' }, { ...one, time: '', device: two.device });
    assert.equal(one.n, 24);
    assert.equal(one.data.learned, 72);
    assert.equal(one.checkpoint.step, 1);

    // The encoder alone, through PyTorch's names and layout and back, has the same features.
    const encoder = join(run, '..', 'encoder');
    await tandem(t, ['export', run, '--out', encoder]);
    // It knows which images its run held out.
    const same = ['--data', 'synthetic:96', '--workers', '1', '--k', '5', '--fresh'];
    const alone = await evaluated('knn', encoder, ...same);
    assert.deepEqual({ ...alone.data }, { ...one.data });
    const kept = await evaluated('knn', run, '--k', '5');
    assert.deepEqual({ ...kept, time: '' }, { ...one, time: '', device: kept.device });
    assert.equal(alone.features, one.features);
    assert.equal(alone.accuracy, one.accuracy);

    const place = join(run, 'checkpoints', 'step-00000000');
    const linear = await evaluated(
      'linear',
      place,
      '--calibrate',
      '--seeds',
      '2',
      '--workers',
      '1',
    );
    assert.equal(linear.checkpoint.step, 0);
    assert.equal(linear.probes.length, 2);
    assert.notEqual(linear.features, one.features);

    // What training saw is told of, and what it held out is not called seen.
    const seen = startTandem(t, ['eval', 'knn', run, '--validation', '0.5', '--k', '5']);
    assert.equal(await seen.ended, 0, seen.err());
    assert.match(seen.err(), /training held out other images.*it saw some \(without labels\)/);
    const within = startTandem(t, ['eval', 'knn', run, '--validation', '0.1', '--k', '5']);
    assert.equal(await within.ended, 0, within.err());
    assert.doesNotMatch(within.err(), /warning: training/);

    const verified = await tandem(t, ['verify', run]);
    assert.match(verified, /every claim holds/);
    const refused = startTandem(t, ['eval', 'knn', run, '--checkpoint', '7']);
    assert.equal(await refused.ended, 65);
    assert.match(refused.err(), /step 7 is damaged|there is no checkpoint/);
  });
});
