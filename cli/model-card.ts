/**
 * The card of an encoder folder: what these weights are, how they were made, how to use them, in
 * Markdown with the front matter that model hubs read.
 *
 * Figures are those of the run's events and evaluations, nothing is rounded up; what is not known
 * (the licence of the photographs) is said to be not known.
 */
import type { RunRecord } from '../coordinator/shell/run-folder.ts';
import { encoderFiles, type EncoderRecord } from '../shared/core/encoder-record.ts';
import type { Evaluation } from '../shared/core/evaluation.ts';
import { shareCount } from '../shared/core/split.ts';
import { protocolText } from '../report/accuracy-figure.ts';
import { type HistoryPoint, type RunSummary, stdRatio } from '../shared/core/summary.ts';
import { count, epoch, percent, printable, signed } from '../shared/core/format.ts';

/** Text that Markdown leaves as it is. */
const plain = (text: string): string =>
  printable(text, 300).replaceAll(/[\\`*_[\]<>|#]/g, (mark) => `\\${mark}`);

const list = (numbers: readonly number[]): string => numbers.join(', ');

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function frontMatter(record: EncoderRecord, tags: readonly string[]): string {
  const all = ['image-feature-extraction', record.model, ...tags];
  return ['---', 'license: other', 'library_name: torchvision', 'tags:']
    .concat(
      all.map((tag) => `- ${tag}`),
      ['---', ''],
    )
    .join('\n');
}

/** How PyTorch loads the encoder. */
function useText(record: EncoderRecord): string {
  const cifar = record.model.endsWith('-cifar');
  const stem = cifar
    ? 'model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)\n' +
      'model.maxpool = torch.nn.Identity()\n'
    : '';
  const { mean, std, size } = record.preprocessing;
  return `## Use
\`\`\`python
import torch, torchvision
from safetensors.torch import load_file

model = torchvision.models.${record.model.replace('-cifar', '')}(weights=None)
${stem}model.fc = torch.nn.Identity()
model.load_state_dict(load_file('${encoderFiles.encoder}'))
model.eval()  # images [n, 3, ${size}, ${size}] -> features [n, ${record.featureWidth}]
\`\`\`
Images: RGB, the largest centred square, resized to ${size} x ${size} (bilinear, antialiased), divided
by 255, minus mean (${list(mean)}), divided by standard deviation (${list(std)}).
`;
}

const licence = `## Licence
Nobody has said under which licence these weights may be used: that is for whoever owns the
photographs and the run to say. Write it here and in the front matter before you pass them on. The
program that made them is under Apache-2.0, which says nothing about the weights.
`;

export interface ExportedRun {
  run: RunRecord;
  step: number;
  summary: RunSummary;
  /** Those of this checkpoint. */
  evaluations: readonly Evaluation[];
}

function methodRows(method: object, above = ''): string[][] {
  return Object.entries(method).flatMap(([field, value]: [string, unknown]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? methodRows(value, `${above}${field}.`)
      : [[`${above}${field}`, `\`${JSON.stringify(value)}\``]],
  );
}

/** Which images these are to the run: what it saw is not called held out. */
function partText({ method, fingerprint }: RunRecord, { data }: Evaluation): string {
  if (data.fingerprint !== fingerprint) return '';
  if (data.split === 'training') return ' of the training part';
  const apart = data.seed === method.seed && data.share <= (method.validation ?? 0);
  return apart ? ' held out' : ' of those trained on';
}

function evaluationRow(run: RunRecord, evaluation: Evaluation): string[] {
  const { kind, accuracy, standardError, n, data, probes } = evaluation;
  const seeds = kind === 'linear' ? `, ${probes.length} probe seeds` : '';
  return [
    `${protocolText(evaluation)}${seeds}`,
    `${percent(accuracy, 2)} ± ${percent(standardError, 2)}`,
    `${count(n)} images${partText(run, evaluation)} of ${plain(data.name)} at ${data.size} px`,
  ];
}

function figuresText(of: ExportedRun): string {
  const { run, step, summary, evaluations } = of;
  const nearest = summary.lossHistory.findLast((point: HistoryPoint) => point.step <= step);
  const rows: string[][] = [['steps', `${count(step)} of ${count(run.method.totalSteps)}`, '']];
  if (nearest !== undefined && step > 0) {
    const at = nearest.step === step ? '' : `at step ${count(nearest.step)}`;
    rows.push(['epochs', epoch(nearest.epoch), at]);
    rows.push(['loss', signed(nearest.loss), at]);
    const ratio = stdRatio(nearest.std, summary.outputWidth);
    // That of pooled features, where labels are learned, has no such scale.
    if (run.method.objective === 'simsiam')
      rows.push(['std · √d (1 healthy, 0 collapsed)', signed(ratio, 3), at]);
  }
  for (const { accuracy, standardError, queries } of summary.knnHistory.filter(
    (each) => each.step === step,
  )) {
    const share = `${percent(accuracy, 2)} ± ${percent(standardError, 2)}`;
    rows.push(['kNN while training', share, `${count(queries)} queries`]);
  }
  rows.push(...evaluations.map((evaluation) => evaluationRow(run, evaluation)));
  return tableOf(['figure', 'value', ''], rows);
}

/** The card of an encoder that a run made. */
export function exportCard(record: EncoderRecord, of: ExportedRun): string {
  const { run, step, summary } = of;
  const { method } = run;
  const from = record.source;
  const marks =
    from.kind === 'run' && !from.reproducible
      ? '\nNot reproducible: devices of several classes computed this run.\n'
      : '';
  const name = from.kind === 'run' ? from.run : '';
  const objective = method.objective;
  const heldOut = shareCount(run.samples, method.validation ?? 0);
  const seen = run.samples - heldOut;
  const about = objective === 'simsiam' ? 'by SimSiam, without labels,' : 'with labels';
  return `${frontMatter(record, ['self-supervised', objective].slice(objective === 'simsiam' ? 0 : 1))}
# ${plain(record.model)}, ${objective}, step ${count(step)}
A ${record.model} trained ${about} by Tandem on ${count(seen)} images, ${method.size} x
${method.size} pixels. \`${encoderFiles.encoder}\` holds the encoder under torchvision's names and
without a classifier, \`${encoderFiles.heads}\` the heads of the training, which features do not need.
${marks}
${useText(record)}
## Figures
${figuresText(of)}

Accuracies with one standard error, √(p(1 − p) / n).

## Where it comes from
${tableOf(
  ['', ''],
  [
    ['run', `${plain(name)}, step ${step}`],
    ['digest of the checkpoint', `\`${from.kind === 'run' ? from.checkpoint : ''}\``],
    ['identity of the run', `\`${from.kind === 'run' ? from.identity : ''}\``],
    ['fingerprint of the data', `\`${run.fingerprint}\``],
    ['images', heldOut === 0 ? count(seen) : `${count(seen)}, and ${count(heldOut)} held out`],
    ['device class', plain(deviceText(summary))],
    [`SHA-256 of ${encoderFiles.encoder}`, `\`${record.digest}\``],
  ],
)}

The checkpoint is a function of the method below, the data and the device class: whoever trains with
them gets the same digest, at any number of workers.

## Method
${tableOf(['field', 'value'], methodRows(method))}

${licence}`;
}

const deviceText = ({ workers }: RunSummary): string => {
  const devices = [...new Set(workers.map(({ device }) => device))];
  return devices.length === 0 ? 'not known' : devices.slice(0, 3).join('; ');
};

/** The card of an encoder that came from a file. */
export function importCard(record: EncoderRecord, leftOut: readonly string[]): string {
  const { source } = record;
  const [file, sha256, naming] =
    source.kind === 'file' ? [source.file, source.sha256, source.naming] : ['', '', ''];
  const heads = leftOut.length === 0 ? '' : ` ${leftOut.length} tensors of heads were left out.`;
  return `${frontMatter(record, [])}
# ${plain(record.model)} from ${plain(file)}
The encoder of \`${plain(file)}\` (tensors named as in ${naming}), number by number, without a
classifier.${heads} How it was trained, the file does not say.

${useText(record)}
## Where it comes from
${tableOf(
  ['', ''],
  [
    ['file', plain(file)],
    ['SHA-256 of the file', `\`${sha256}\``],
    [`SHA-256 of ${encoderFiles.encoder}`, `\`${record.digest}\``],
  ],
)}

${licence}`;
}
