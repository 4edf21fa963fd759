/**
 * The options of `tandem eval`: what is measured, on which images, by which protocol.
 */
import type { Command } from 'commander';
import { Option } from 'commander';
import { Failure } from '../../shared/core/failures.ts';
import {
  camelCase,
  flagOf,
  type OptionKind,
  type OptionSpec,
} from '../../shared/core/option-table.ts';
import { type OptionValue, parseValue } from '../../shared/core/option-value.ts';
import { type GivenFlags, helpOf, runOf } from '../command.ts';

const whole = (least: number, most: number): OptionKind => ({ kind: 'whole', least, most });
const number = (least: number, most: number, orEqual = false): OptionKind => ({
  ...{ kind: 'number', least, most, orEqual },
});

const row = (
  name: string,
  placeholder: string,
  preset: OptionSpec['preset'],
  kind: OptionKind,
  help: string,
): OptionSpec => ({ name, placeholder, preset, kind, help, group: 'operation' });

/** For both measures. */
export const commonOptions: readonly OptionSpec[] = [
  row('checkpoint', 'STEP', null, whole(0, 1e9), 'which checkpoint (the newest); 0: untrained'),
  row('data', 'DIR', null, { kind: 'text' }, "other images than the run's, or where they lie now"),
  row('size', 'PIXELS', null, whole(8, 1024), "side of an image (the run's)"),
  row(
    'split',
    'NAME',
    'held-out',
    { kind: 'choice', of: ['held-out', 'training'] },
    'measure the held-out images, or a share of the training part, to choose on',
  ),
  row('validation', 'SHARE', null, number(0, 0.9), "share that is measured (the run's, or 0.15)"),
  row('split-seed', 'N', null, whole(0, Number.MAX_SAFE_INTEGER), "draws the split (the run's)"),
  row(
    'calibrate',
    '',
    false,
    { kind: 'switch' },
    'measure batch norm anew on the training part first; for untrained networks',
  ),
  row('fresh', '', false, { kind: 'switch' }, 'extract the features anew, though they are kept'),
  row(
    'standardise',
    '',
    false,
    { kind: 'switch' },
    'centre and scale each feature by the part that is learned from',
  ),
  row('workers', 'N', 2, whole(0, 256), 'workers to start; 0: wait for some to join at --listen'),
];

export const linearOptions: readonly OptionSpec[] = [
  row(
    'protocol',
    'NAME',
    'simsiam-tf',
    { kind: 'choice', of: ['simsiam-tf', 'paper'] },
    'Adam with an early stop, or SGD with LARS and a cosine',
  ),
  row('seeds', 'N', 3, whole(1, 100), 'probes, with the seeds 1 to N'),
  row(
    'stop-on',
    'PART',
    'measured',
    { kind: 'choice', of: ['measured', 'training'] },
    'whose loss stops a probe: the images measured, or a share of the training part',
  ),
  row('epochs', 'N', null, whole(1, 10_000), 'at most (100; paper 90)'),
  row('batch', 'IMAGES', null, whole(1, 65_536), 'of a step of the probe (64; paper 256)'),
  row('learning-rate', 'X', null, number(0, 1000), '(0.001; paper 0.1, for 256 images)'),
  row('patience', 'EPOCHS', null, whole(1, 10_000), 'without a smaller loss (5; paper: none)'),
];

export const knnOptions: readonly OptionSpec[] = [
  row('k', 'N', 20, whole(1, 100_000), 'neighbours that vote'),
  row('temperature', 'T', 0.07, number(0, 100), 'a vote weighs exp(similarity / T)'),
];

export function declareSpecs(command: Command, specs: readonly OptionSpec[]): void {
  for (const spec of specs)
    command.addOption(new Option(flagOf(spec), helpOf(spec)).helpGroup('Options:'));
}

export type Values = Record<string, OptionValue | null>;

/** Each option's value by camel-cased name: given, preset, or null. Throws `bad-option`. */
export function valuesOf(specs: readonly OptionSpec[], flags: GivenFlags): Values {
  const layer = { source: 'flag', values: flags } as const;
  return Object.fromEntries(
    specs.map((spec) => {
      const given = flags[camelCase(spec.name)];
      return [
        camelCase(spec.name),
        given === undefined ? spec.preset : parseValue(layer, spec, given),
      ];
    }),
  );
}

/** The one positional, or `--run`. */
export function targetOf(args: readonly string[], flags: GivenFlags, name: string): string {
  const target = runOf(args, flags);
  if (target !== undefined && target !== '') return target;
  throw new Failure(
    'bad-option',
    `say which network: tandem ${name} RUN, such as runs/0001, a folder of its checkpoints/, or an ` +
      'encoder folder.',
  );
}
