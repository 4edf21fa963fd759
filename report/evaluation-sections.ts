/**
 * Evaluations as tables: accuracies with their errors, and who was taken for whom.
 */
import { classAccuracy } from '../shared/core/evaluation.ts';
import { checkpointText, type Measured, measureText, protocolText } from './accuracy-figure.ts';
import { digestText, element, type Html, joined, percent, table, whole } from './html.ts';
import { swatch } from './sections.ts';

/** A row an evaluation. */
export function evaluationsTable(measured: readonly Measured[]): Html {
  return table({
    caption: 'Evaluations; ± one standard error, √(p(1 − p) / n)',
    head: [
      ...['run', 'step', 'protocol', 'accuracy', '±', 'over seeds ±', 'seeds', 'images'],
      ...['data', 'px', 'checkpoint'],
    ],
    numbers: [1, 3, 4, 5, 6, 7, 9],
    rows: measured.map(({ run, index, evaluation: e }) => [
      joined([swatch(index), element('span', {}, run)]),
      e.checkpoint.imported === undefined ? whole(e.checkpoint.step) : 'imported',
      protocolText(e),
      percent(e.accuracy),
      percent(e.standardError),
      e.probes.length > 1 ? percent(e.seedError) : '—',
      e.probes.length === 0 ? '—' : whole(e.probes.length),
      whole(e.n),
      e.data.name,
      whole(e.data.size),
      digestText(e.checkpoint.digest),
    ]),
  });
}

const classesMax = 40;

/** True classes down, predicted ones across; darker is more of the true class. */
export function confusion({ run, evaluation }: Measured): Html {
  const { perClass, confusion: counts } = evaluation;
  const what = `${run}, ${checkpointText(evaluation)}, ${measureText(evaluation)}`;
  if (perClass.length > classesMax)
    return element(
      'p',
      { class: 'note' },
      `${what}: ${perClass.length} classes are too many for a matrix.`,
    );
  const rows = perClass.map((one, i) => {
    const row = counts[i] ?? [];
    const sum = Math.max(
      1,
      row.reduce((a, b) => a + b, 0),
    );
    return [
      one.label,
      ...perClass.map((_, j) => {
        const count = row[j] ?? 0;
        const depth = ((0.45 * count) / sum).toFixed(3);
        return element('span', { class: 'cell', style: `--depth:${depth}` }, whole(count));
      }),
      percent(classAccuracy(one), 1),
      whole(one.n),
    ];
  });
  const matrix = table({
    caption: 'True class by row, predicted class by column; counts over all seeds',
    head: ['true \\ predicted', ...perClass.map(({ label }) => label), 'accuracy', 'images'],
    rows,
    numbers: perClass.map((_, i) => i + 1).concat([perClass.length + 1, perClass.length + 2]),
    classes: 'confusion',
  });
  const open: Record<string, string> = evaluation.kind === 'linear' ? { open: '' } : {};
  return element('details', open, element('summary', {}, `Classes of ${what}`), matrix);
}

/** The kinds of evaluation that have a matrix of their own in the page: the latest of each run. */
export function matricesOf(measured: readonly Measured[]): Measured[] {
  const latest = new Map<string, Measured>();
  for (const one of measured) latest.set(`${one.index} ${one.evaluation.kind}`, one);
  return [...latest.values()].slice(0, 12);
}
