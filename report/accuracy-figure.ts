/**
 * Accuracies of evaluations as dots with one standard error to each side, a row an evaluation.
 */
import { type Axis, escaped, pixel, ticks } from '../shared/core/plotting.ts';
import type { Evaluation, Protocol } from '../shared/core/evaluation.ts';
import type { Figure, ReportRun } from './contents.ts';
import { coloursMax, figureStyle } from './figure-style.ts';

export interface Measured {
  /** Name and place of the run. */
  run: string;
  index: number;
  evaluation: Evaluation;
}

/** Evaluations of all runs, run by run, the latest of each kind and checkpoint. */
export function measuredOf(runs: readonly ReportRun[]): Measured[] {
  return runs.flatMap(({ name: run, evaluations }, index) => {
    const latest = new Map<string, Evaluation>();
    for (const evaluation of evaluations) {
      const { kind, protocol, checkpoint, data } = evaluation;
      // Where the same images lay says nothing.
      const same = [
        kind,
        protocol,
        checkpoint.digest,
        checkpoint.calibrated,
        { ...data, name: '' },
      ];
      latest.set(JSON.stringify(same), evaluation);
    }
    return [...latest.values()]
      .sort((a, b) => a.checkpoint.step - b.checkpoint.step)
      .map((evaluation) => ({ run, index, evaluation }));
  });
}

/** `step 12`, or where it comes from. */
export const checkpointText = ({ checkpoint }: Evaluation): string =>
  checkpoint.imported === undefined ? `step ${checkpoint.step}` : 'imported';

function protocolName(protocol: Protocol): string {
  if (protocol.name === 'knn') return `kNN-${protocol.k}`;
  return protocol.name === 'classifier' ? 'its own classifier' : `linear probe (${protocol.name})`;
}

/** `linear probe, paper`, `kNN-20`; what sets it apart from its like follows. */
export function protocolText({ protocol, checkpoint, data }: Evaluation): string {
  const name = protocolName(protocol);
  const more = [
    ...(protocol.standardised ? ['standardised'] : []),
    ...(checkpoint.calibrated ? ['calibrated'] : []),
    ...(data.split === 'training' ? ['on a share of the training part'] : []),
  ];
  return [name, ...more].join(', ');
}

/** The same with the side of the images, where no column has it. */
export const measureText = (evaluation: Evaluation): string =>
  `${protocolText(evaluation)}, ${evaluation.data.size} px`;

const width = 560;
const rowHeight = 40;
const rowsMax = 60;
const pad = { left: 16, right: 66, top: 12, bottom: 44 };

/** Null where nothing was evaluated. */
export function accuracyFigure(measured: readonly Measured[]): Figure | null {
  const rows = measured.slice(0, rowsMax);
  if (rows.length === 0) return null;
  return { id: 'accuracies', inline: drawn(rows, false), file: drawn(rows, true) };
}

function drawn(rows: readonly Measured[], alone: boolean): string {
  const top = pad.top + (alone ? 32 : 0);
  const bottom = top + rows.length * rowHeight;
  const height = bottom + pad.bottom;
  const ends = rows.flatMap(({ evaluation: { accuracy, standardError } }) => [
    accuracy - standardError,
    accuracy + standardError,
  ]);
  const room = 0.03;
  const across: Axis = {
    least: Math.max(0, Math.min(...ends) - room),
    most: Math.min(1, Math.max(...ends) + room),
    from: pad.left,
    to: width - pad.right,
  };
  if (across.most - across.least < 0.01) across.least = across.most - 0.01;
  const told = rows.map(
    ({ run, evaluation }) =>
      `${run}, ${checkpointText(evaluation)}, ${measureText(evaluation)}: ${share(evaluation)}.`,
  );
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" ` +
      `aria-labelledby="accuracies-title accuracies-desc" viewBox="0 0 ${width} ${height}"` +
      `${alone ? ` width="${width}" height="${height}"` : ''}>`,
    '<title id="accuracies-title">Accuracy, with one standard error</title>',
    `<desc id="accuracies-desc">${escaped(told.join(' '))}</desc>`,
    alone ? `<style>${figureStyle}</style>` : '',
    alone ? `<rect class="paper" width="${width}" height="${height}"/>` : '',
    alone ? '<text class="title" x="16" y="28">Accuracy, with one standard error</text>' : '',
  ];
  const { values, digits } = ticks(across.least, across.most, 5);
  for (const value of values) {
    const x = pixel(across, value);
    parts.push(
      `<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${bottom}"/>`,
      `<text class="tick" x="${x}" y="${bottom + 18}" text-anchor="middle">` +
        `${(100 * value).toFixed(Math.max(0, digits - 2))} %</text>`,
    );
  }
  for (const [i, { run, index, evaluation }] of rows.entries()) {
    const { accuracy, standardError } = evaluation;
    const y = top + i * rowHeight;
    const [low, at, high] = [accuracy - standardError, accuracy, accuracy + standardError].map(
      (value) => pixel(across, Math.max(across.least, value)),
    ) as [number, number, number];
    const name = `${run}, ${checkpointText(evaluation)}: ${measureText(evaluation)}`;
    const shown = name.length > 74 ? `${name.slice(0, 73)}…` : name;
    parts.push(
      `<text class="name" x="${pad.left}" y="${y + 15}">${escaped(shown)}</text>`,
      `<line class="whisker c${index % coloursMax}" x1="${low}" x2="${high}" y1="${y + 28}" y2="${y + 28}"/>`,
      `<circle class="ring f${index % coloursMax}" cx="${at}" cy="${y + 28}" r="5">` +
        `<title>${escaped(share(evaluation))}</title></circle>`,
      `<text class="value" x="${width - 6}" y="${y + 32}" text-anchor="end">${(100 * accuracy).toFixed(1)} %</text>`,
    );
  }
  return `${[...parts, '</svg>'].filter((part) => part !== '').join('\n')}\n`;
}

const share = ({ accuracy, standardError }: Evaluation): string =>
  `${(100 * accuracy).toFixed(2)} % ± ${(100 * standardError).toFixed(2)}`;
