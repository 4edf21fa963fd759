/**
 * An evaluation for people: the figure, what it was measured on, a row a class, and who was taken
 * for whom.
 */
import { classAccuracy, type Evaluation } from '../shared/core/evaluation.ts';
import { count, epoch, percent, plural, printable, signed, table } from '../shared/core/format.ts';

/** Columns of a confusion table beyond which it is left to the file. */
const confusionMax = 12;

const points = (share: number): string => (100 * share).toFixed(1);

function protocolText({ protocol, probes }: Evaluation): string {
  const scaled = protocol.standardised ? ', standardised features' : '';
  if (protocol.name === 'classifier') return "the network's own classifier";
  if (protocol.name === 'knn')
    return `k = ${protocol.k}, T = ${protocol.temperature}, cosine${scaled}`;
  const { name, batch, learningRate, epochs, patience } = protocol;
  const rule = name === 'paper' ? 'SGD with LARS, cosine' : 'Adam';
  const stop = patience === null ? '' : `, patience ${patience}`;
  return (
    `${name}: ${rule}, ${learningRate}, batch ${batch}, at most ${epochs} epochs${stop}, ` +
    `${plural(probes.length, 'seed')}${scaled}`
  );
}

function dataText({ data, n }: Evaluation): string {
  const { learned, stoppedOn, size, split, name } = data;
  const stop = stoppedOn > 0 ? `, stopped on ${count(stoppedOn)}` : '';
  const part = split === 'training' ? ' (of the training part, to choose on)' : '';
  return `${name}, ${size} px: learned from ${count(learned)}${stop}, measured on ${count(n)}${part}`;
}

function confusionRows({ perClass, confusion, probes }: Evaluation): string[][] {
  const several = Math.max(1, probes.length);
  const show = (value: number): string =>
    Number.isInteger(value / several) ? count(value / several) : (value / several).toFixed(1);
  const wide = perClass.length <= confusionMax;
  return [
    ['class', 'n', 'accuracy', ...(wide ? ['taken for', ...perClass.slice(1).map(() => '')] : [])],
    ...(wide ? [['', '', '', ...perClass.map(({ label }) => label.slice(0, 10))]] : []),
    ...perClass.map((one, i) => [
      one.label,
      count(one.n),
      percent(classAccuracy(one)),
      ...(wide ? (confusion[i] ?? []).map(show) : []),
    ]),
  ];
}

/** With its file's path in the last line. */
export function evaluationText(evaluation: Evaluation, file: string): string {
  const { accuracy, standardError, seedError, kind, probes, checkpoint, featureStd } = evaluation;
  const { run, step, model, digest, calibrated } = checkpoint;
  const seeds = probes.length > 1 ? ` (± ${points(seedError)} over ${probes.length} seeds)` : '';
  const trained =
    checkpoint.imported !== undefined
      ? `imported (${checkpoint.imported})`
      : step === 0
        ? 'untrained'
        : `step ${count(step)}, epoch ${epoch(checkpoint.epoch)}`;
  const rows = [
    ['network', `${run}, ${model}, ${trained}${calibrated ? ', batch norm calibrated' : ''}`],
    ['data', dataText(evaluation)],
    ['protocol', protocolText(evaluation)],
    ...(probes.length === 0
      ? []
      : [['probes', probes.map((p) => `${percent(p.accuracy)} (epoch ${p.kept})`).join(', ')]]),
    ['std·√d', `${signed(featureStd * Math.sqrt(evaluation.featureWidth), 2)} of the features`],
    ['digest', digest],
  ];
  return printable(
    [
      `${kind === 'knn' ? 'kNN' : kind} accuracy ${percent(accuracy)} ± ${points(standardError)}${seeds}`,
      '',
      table(rows.map(([name = '', value = '']) => [`  ${name}`, value])),
      '',
      table(
        confusionRows(evaluation).map((row) =>
          row.map((cell, i) => (i === 0 ? `  ${cell}` : cell)),
        ),
      ),
      '',
      `kept in ${file}`,
      '',
    ].join('\n'),
    100_000,
  );
}
