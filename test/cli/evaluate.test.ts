/**
 * `tandem eval` and the gallery of a report as commands, on runs of the small model: workers that
 * come from elsewhere, what is refused before anything is computed, and what people are shown.
 */
import '../support/use-small-model.ts';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../shared/core/failures.ts';
import type { Io } from '../../cli/io.ts';
import { pretendEvaluation } from '../support/evaluations.ts';

const base = mkdtempSync(join(tmpdir(), 'tandem-eval-'));
after(() => rmSync(base, { recursive: true, force: true }));
process.env['XDG_CACHE_HOME'] = join(base, 'cache');

// After the small model and the folder of the caches have taken their places.
const { labelledPhotographs, smallRun, smallWorker, tinyPhotographs } = await import(
  '../support/small-run.ts'
);
const { run: tandem } = await import('../../cli/main.ts');
const { command } = await import('../support/command.ts');
const { evaluationText } = await import('../../cli/evaluation-text.ts');
const { galleryImage, grayText } = await import('../../cli/gallery-images.ts');
const { folderDataset } = await import('../../shared/adapters/folder-dataset.ts');

const run = join(base, 'run');
const data = join(base, 'data');
before(async () => {
  await labelledPhotographs(data, 24, ['aster', 'rose']);
  await smallRun({ data, steps: 2, run });
});

/** Runs a command; a worker joins where it is asked to. */
async function joined(
  argv: readonly string[],
): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [[] as string[], [] as string[]];
  const workers: Promise<void>[] = [];
  const hear = (text: string): void => {
    err.push(text);
    const [, address] = /waiting at (127\.0\.0\.1:\d+) /.exec(text) ?? [];
    if (address !== undefined)
      workers.push(smallWorker(address, 'from-elsewhere', AbortSignal.timeout(60_000)));
  };
  const io: Io = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: hear },
    env: {},
  };
  const code = await tandem(argv, io);
  await Promise.all(workers);
  return { code, out: out.join(''), err: err.join('') };
}

describe('tandem eval', () => {
  it('--workers 0 waits for workers from elsewhere, and says where', async () => {
    const given = ['--validation', '0.25', '--workers', '0', '--json'];
    for (const listen of [[], ['--listen', '127.0.0.1:0']]) {
      const { code, out, err } = await joined(['eval', 'knn', run, ...given, ...listen, '--fresh']);
      assert.equal(code, 0, err);
      assert.match(
        err,
        /no workers are started here \(--workers 0\): waiting at 127\.0\.0\.1:\d+ for those that join with "tandem worker --coordinator 127\.0\.0\.1:\d+"; workers of other machines need --listen HOST:PORT/,
      );
      assert.equal(JSON.parse(out).n, 6);
    }
  });

  it('refuses a size that the network of the run cannot take', async () => {
    const larger = join(base, 'resnet18');
    await smallRun({
      ...{ data, steps: 1, run: larger, model: 'resnet18', size: 32 },
      ...{ batch: 2, 'micro-batch': 2 },
    });
    const { code, err } = await command(['eval', 'knn', larger, '--size', '8']);
    assert.equal(code, 64);
    assert.match(err, /^tandem: --size expects at least 32 pixels for a resnet18, not 8\./m);
  });

  it('says how many images are too few for a split', async () => {
    const two = await labelledPhotographs(join(base, 'two'), 2, ['aster', 'rose']);
    const { code, err } = await command([
      ...['eval', 'knn', run, '--data', two, '--split', 'training'],
    ]);
    assert.equal(code, 66);
    assert.match(err, /of 2 images this split leaves 0 to learn from .*\(data-empty\)\n$/);
  });

  it('shows a dash for a class without a measured image, in a file of before as well', () => {
    const labels = ['aster', 'rose'];
    const of = { run: 'r', step: 1, kind: 'knn', accuracy: 0.5, labels } as const;
    const evaluation = pretendEvaluation(of);
    for (const accuracy of [null, 0]) {
      const perClass = [...evaluation.perClass.slice(1), { label: 'tulip', n: 0, accuracy }];
      const text = evaluationText({ ...evaluation, perClass }, 'file');
      assert.match(text, /tulip +0 +— /);
    }
  });
});

describe('the gallery of a report', () => {
  it('ends where the photographs are gone, and names one and the remedy', async () => {
    const away = join(base, 'away');
    renameSync(data, away);
    mkdirSync(data);
    const out = join(base, 'report.html');
    const { code, err } = await command(['report', run, '--out', out, '--gallery']);
    renameSync(away, data);
    assert.equal(code, 66);
    assert.match(
      err,
      /^tandem: aster\/000\.png is not in \S+data any more, .*with --data DIR\. \(sample-unavailable\)\n$/,
    );
  });

  it('is gray where an image cannot be decoded, and says so in one line', async () => {
    const dataset = folderDataset(await tinyPhotographs(join(base, 'torn'), 3, [1]), null);
    const { samples } = await dataset.index();
    const images = await Promise.all(
      samples.map((sample) => galleryImage({ dataset, data: 'torn' }, sample, 16)),
    );
    assert.deepEqual(
      images.map((image) => image === null),
      [false, true, false],
    );
    truncateSync(join(base, 'torn', '002.png'), 10);
    await assert.rejects(
      galleryImage({ dataset, data: 'torn' }, samples[2]!, 16),
      (error: unknown) => error instanceof Failure && error.code === 'sample-unavailable',
    );
    assert.equal(grayText([], 9), null);
    assert.equal(
      grayText(['a', 'b', 'c', 'd', 'e'], 2000),
      '5 of 2,000 images cannot be decoded and are gray: a, b, c and 2 more',
    );
  });
});
