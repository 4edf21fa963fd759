/**
 * `tandem eval linear` and `tandem eval knn`: what the features of a checkpoint are worth.
 */
import type { Config } from '../../shared/core/config.ts';
import { parseConfig } from '../../shared/core/config.ts';
import type {
  ClassifierProtocol,
  KnnProtocol,
  LinearProtocol,
} from '../../shared/core/evaluation.ts';
import { Failure } from '../../shared/core/failures.ts';
import { tlsOptionNames } from '../../shared/core/option-table.ts';
import { linearProtocols } from '../../shared/core/probe.ts';
import {
  type CommandContext,
  type CommandSpec,
  declareOptions,
  flagLayer,
  type GivenFlags,
} from '../command.ts';
import { withData } from '../data-option.ts';
import type { EvaluationRequest } from '../evaluate.ts';
import { evaluationText } from '../evaluation-text.ts';
import { printable } from '../../shared/core/format.ts';
import type { Io, Job } from '../io.ts';
import { progressLine } from '../progress-line.ts';
import {
  commonOptions,
  declareSpecs,
  knnOptions,
  linearOptions,
  targetOf,
  type Values,
  valuesOf,
} from './eval-options.ts';

const notedMax = 100;

/** Options of the table that mean here what they mean to `train`. */
const shared = [...['backend', 'require-gpu', 'listen', 'insecure', 'json'], ...tlsOptionNames];

const wholeOrNull = (value: Values[string] | undefined): number | null =>
  typeof value === 'number' ? value : null;

/** `train` starts a worker or more; here they may all come from elsewhere. */
function configOf(flags: GivenFlags, workers: number): Config {
  const { values } = flagLayer(flags);
  const own = Object.fromEntries(Object.entries(values).filter(([name]) => shared.includes(name)));
  return { ...parseConfig([{ source: 'flag', values: own }]).config, workers };
}

function linearProtocol(values: Values): LinearProtocol {
  const name = values['protocol'] === 'paper' ? 'paper' : 'simsiam-tf';
  const preset = linearProtocols[name];
  return {
    name,
    epochs: wholeOrNull(values['epochs']) ?? preset.epochs,
    batch: wholeOrNull(values['batch']) ?? preset.batch,
    learningRate: wholeOrNull(values['learningRate']) ?? preset.learningRate,
    patience: wholeOrNull(values['patience']) ?? preset.patience,
    standardised: values['standardise'] === true,
  };
}

const knnProtocol = (values: Values): KnnProtocol => ({
  name: 'knn',
  k: Number(values['k']),
  temperature: Number(values['temperature']),
  standardised: values['standardise'] === true,
});

function requestOf(
  name: string,
  args: readonly string[],
  flags: GivenFlags,
  values: Values,
  protocol: EvaluationRequest['protocol'],
): EvaluationRequest {
  const config = configOf(flags, Number(values['workers']));
  const given = values['data'];
  const data = typeof given === 'string' ? withData({ ...config, data: given }).data : null;
  return {
    target: targetOf(args, flags, name),
    step: wholeOrNull(values['checkpoint']),
    data,
    size: wholeOrNull(values['size']),
    split: values['split'] === 'training' ? 'training' : 'held-out',
    stopOn: values['stopOn'] === 'training' ? 'training' : 'measured',
    share: wholeOrNull(values['validation']),
    splitSeed: wholeOrNull(values['splitSeed']),
    calibrate: values['calibrate'] === true,
    fresh: values['fresh'] === true,
    protocol,
    seeds: Array.from({ length: Number(values['seeds'] ?? 0) }, (_, i) => i + 1),
    config,
  };
}

function evaluationJob(
  request: EvaluationRequest,
  json: boolean,
  { io, verbose, quiet }: CommandContext,
): Job {
  return async (signal) => {
    const { evaluate } = await import('../evaluate.ts');
    const line = progressLine(quiet ? silentIo(io) : io);
    const noted = new Set<string>();
    const note = (text: string): void => {
      // Two workers often say the same.
      if (noted.has(text) && !verbose) return;
      if (noted.size < notedMax) noted.add(text);
      line.clear();
      io.stderr.write(`${printable(text)}\n`);
    };
    const { evaluation, file } = await evaluate(request, signal, {
      note,
      say: (text) => verbose && note(text),
      progress: line.step,
      verbose,
    }).finally(line.clear);
    if (json) io.stdout.write(`${JSON.stringify({ ...evaluation, file })}\n`);
    else io.stdout.write(evaluationText(evaluation, file));
    return 0;
  };
}

const silentIo = (io: Io): Io => ({ ...io, stderr: { write: () => true } });

const specsOf = {
  linear: [...linearOptions, ...commonOptions],
  knn: [...knnOptions, ...commonOptions],
  classifier: commonOptions.filter(({ name }) => !['calibrate', 'standardise'].includes(name)),
};

const protocolOf = {
  linear: linearProtocol,
  knn: knnProtocol,
  classifier: (): ClassifierProtocol => ({ name: 'classifier', standardised: false }),
};

function evalCommand(
  kind: keyof typeof specsOf,
  summary: string,
  examples: CommandSpec['examples'],
): CommandSpec {
  const name = `eval ${kind}`;
  const specs = specsOf[kind];
  return {
    name,
    positional: 'RUN',
    positionalHelp:
      'run folder, such as runs/0001, a folder of its checkpoints/, or an encoder folder',
    summary,
    examples,
    declare(command) {
      command.option('--run <DIR>', 'run folder');
      declareSpecs(command, specs);
      declareOptions(command, shared);
    },
    prepare(args, flags, context) {
      const values = valuesOf(specs, flags);
      if (args.length > 1) throw new Failure('bad-option', `unexpected "${args[1]}".`);
      const request = requestOf(name, args, flags, values, protocolOf[kind](values));
      return evaluationJob(request, flags['json'] === true, context);
    },
  };
}

export const evalLinearCommand: CommandSpec = evalCommand(
  'linear',
  'accuracy of one dense layer on the frozen features of a checkpoint',
  [
    ['the newest checkpoint, on the images held out', 'eval linear runs/a'],
    ['the untrained network', 'eval linear runs/a --checkpoint 0 --calibrate'],
    ['to choose: on a share of the training part', 'eval linear runs/a --split training'],
    ["the paper's protocol, as JSON", 'eval linear runs/a --protocol paper --json'],
  ],
);

export const evalKnnCommand: CommandSpec = evalCommand(
  'knn',
  'accuracy of a k-nearest-neighbour vote among the features of a checkpoint',
  [
    ['the newest checkpoint, on the images held out', 'eval knn runs/a'],
    ['another vote, larger images', 'eval knn runs/a --k 200 --temperature 0.1 --size 96'],
  ],
);

export const evalClassifierCommand: CommandSpec = evalCommand(
  'classifier',
  "accuracy of a supervised network's own classifier",
  [['on the images held out', 'eval classifier runs/a']],
);
