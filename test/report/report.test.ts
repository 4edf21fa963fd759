/**
 * The report as text: the same bytes for the same runs, figures that any reader takes, and names
 * from outside that stay names. The page in a browser: test/browser/report.test.ts.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { measuredOf } from '../../report/accuracy-figure.ts';
import type { ReportContents, ReportRun } from '../../report/contents.ts';
import { curvesFigure, plainNumber } from '../../report/curves-figure.ts';
import { report } from '../../report/page.ts';
import type { Evaluation } from '../../shared/core/evaluation.ts';
import { emptySummary, fold } from '../../shared/core/summary.ts';
import { pretendEvaluation } from '../support/evaluations.ts';
import { pretendRun } from '../support/pretend-events.ts';

const hostile = '"><script>globalThis.pwned=1</script>&amp;';

function runOf(name: string, steps: number): ReportRun {
  const told = pretendRun({ run: name, steps, workers: ['worker-1', hostile] });
  const events = [...told.begin(), told.knn(0.374)];
  while (told.step < steps) events.push(told.committed());
  events.push(told.left(hostile), told.moved(hostile, 4, 2), told.committed(), told.knn(0.547));
  const labels = ['daisy', hostile, 'rose'];
  return {
    name,
    kind: 'run',
    summary: events.reduce(fold, emptySummary),
    evaluations: [
      pretendEvaluation({ run: name, step: 0, kind: 'linear', accuracy: 0.434, labels }),
      pretendEvaluation({ run: name, step: steps, kind: 'linear', accuracy: 0.63, labels }),
      pretendEvaluation({ run: name, step: steps, kind: 'knn', accuracy: 0.61, labels }),
    ],
  };
}

const contents = (...runs: ReportRun[]): ReportContents => ({
  ...{ title: hostile, made: '2026-11-24T07:00:00.000Z', version: '0.1.0', runs },
  galleries: [
    {
      ...{ network: hostile, searched: 300, size: 64 },
      rows: [
        {
          query: { path: 'daisy/1.jpg', label: 'daisy', source: 'data:image/png;base64,' },
          neighbours: [
            {
              ...{ path: hostile, label: hostile, source: 'data:image/png;base64,' },
              similarity: 0.98,
            },
          ],
        },
      ],
    },
  ],
});

describe('a report', () => {
  test('shows a dash for a class without a measured image', () => {
    const run = runOf('short', 20);
    const evaluations = run.evaluations.map((evaluation) => ({
      ...evaluation,
      perClass: evaluation.perClass.map((one, i) => (i < 2 ? one : { ...one, n: 0, accuracy: 0 })),
    }));
    const { page } = report(contents({ ...run, evaluations }));
    assert.match(page, /<tr><th[^>]*>rose<[\s\S]*?<td[^>]*>—<\/td><td[^>]*>0<\/td><\/tr>/);
  });

  const two = contents(runOf('epochs-50', 300), runOf(hostile, 90));

  test('has the same bytes for the same contents, and asks for nothing', () => {
    const { page } = report(two);
    assert.equal(page, report(structuredClone(two)).page);
    const outside = page.match(/(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)[^"'\s>)]+/gi);
    assert.deepEqual(outside, null);
    assert.match(page, /Content-Security-Policy" content="default-src 'none';/);
    assert.doesNotMatch(page, /<script|NaN|Infinity|undefined/);
    assert.equal(page.split('&lt;script&gt;').length > 8, true);
  });

  test('has a figure a file: whole XML, drawn by another reader, legends only where needed', async () => {
    const { figures } = report(two);
    assert.deepEqual(
      figures.map(({ id }) => id),
      [
        ...['loss', 'loss-1', 'loss-2', 'std', 'knn', 'learning-rate', 'throughput'],
        ...['accuracies', 'timeline-1', 'timeline-2'],
      ],
    );
    for (const { id, file, inline } of figures) {
      assert.match(file, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" class="fig" role="img"/);
      assert.match(file, new RegExp(`<title id="${id}-title">[^<]+</title>`));
      assert.match(file, /<style>/);
      assert.doesNotMatch(inline, /<style>/);
      const { info } = await sharp(Buffer.from(file)).raw().toBuffer({ resolveWithObject: true });
      assert.ok(info.width > 400 && info.height > 60, id);
    }
  });

  test('tells of curves, errors and evaluations in words and tables', () => {
    const { page } = report(two);
    assert.match(page, /<desc id="loss-desc">epochs-50: from −0\.\d+ at 0\.03 epochs to/);
    assert.match(page, /43\.40 %<\/td><td class="n">2\.\d\d %/);
    assert.match(page, /linear probe \(simsiam-tf\), calibrated/);
    assert.match(page, /kNN-20/);
    assert.match(page, /<summary>Classes of epochs-50, step 300, linear probe/);
    for (const id of ['runs', 'losses', 'health', 'pace', 'workers', 'evaluations', 'neighbours'])
      assert.match(page, new RegExp(`<section id="${id}" aria-labelledby="${id}-h">`));
  });

  test('of one run has no legend, of a run without events no curves and no error', () => {
    const one = report(contents(runOf('alone', 40)));
    assert.doesNotMatch(one.page, /Colours of the runs/);
    assert.equal(one.figures.filter(({ id }) => id.startsWith('loss')).length, 1);
    const empty = report(
      contents({ name: 'new', kind: 'run', summary: emptySummary, evaluations: [] }),
    );
    assert.match(empty.page, /nothing measured/);
    assert.doesNotMatch(empty.page, /NaN|Infinity|<section id="evaluations"/);
  });

  test('of thirty runs gives each its own stroke', () => {
    const runs = Array.from({ length: 30 }, (_, i) => runOf(`run-${i}`, 4));
    const legend = /<ul class="legend" aria-label="Colours[\s\S]*?<\/ul>/.exec(
      report(contents(...runs)).page,
    )?.[0];
    const strokes = legend?.match(/line c\d d\d/g) ?? [];
    assert.equal(new Set(strokes).size, 30);
  });
});

test('points that are not finite leave out themselves and nothing else', () => {
  const points = [0, 1, Number.NaN, Infinity, 4].map((y, x) => ({ x, y }));
  const { file } = curvesFigure({
    ...{ id: 'x', title: 'x', across: 'Steps', show: plainNumber },
    curves: [{ name: 'a', index: 0, kind: 'line', points }],
  });
  const path = /d="M([^"]+)"/.exec(file)?.[1]?.split('L') ?? [];
  assert.equal(path.length, 3);
  assert.doesNotMatch(file, /NaN|Infinity/);
});

test('a supervised run\u2019s own classifier and an imported encoder are called what they are', () => {
  const of = { run: 'r', step: 0, labels: ['a', 'b'] } as const;
  const [linear, own] = [0.5, 0.6].map((accuracy) =>
    pretendEvaluation({ ...of, kind: 'linear', accuracy }),
  ) as [Evaluation, Evaluation];
  const { protocol: _, ...rest } = own;
  const evaluations: Evaluation[] = [
    { ...linear, checkpoint: { ...linear.checkpoint, imported: 'torchvision' } },
    { ...rest, kind: 'classifier', protocol: { name: 'classifier', standardised: false } },
  ];
  const { page } = report(
    contents({ name: 'r', kind: 'encoder', summary: emptySummary, evaluations }),
  );
  assert.match(page, /r, imported: linear probe \(simsiam-tf\), calibrated/);
  assert.match(page, /r, step 0: its own classifier/);
  assert.doesNotMatch(page, /linear probe \(classifier\)/);
});

test('an evaluation that was repeated counts once, the latest; checkpoints stand in their order', () => {
  const of = { run: 'r', kind: 'knn', labels: ['a', 'b'] } as const;
  const late = { digest: 'c'.repeat(64) };
  const evaluations = [
    pretendEvaluation({ ...of, step: 9, accuracy: 0.5, ...late }),
    pretendEvaluation({ ...of, step: 0, accuracy: 0.4 }),
    pretendEvaluation({ ...of, step: 9, accuracy: 0.6, ...late }),
  ];
  const found = measuredOf([{ name: 'r', kind: 'run', summary: emptySummary, evaluations }]);
  assert.deepEqual(
    found.map(({ evaluation }) => evaluation.accuracy),
    [0.4, 0.6],
  );
});
