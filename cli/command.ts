/**
 * What a command of `tandem` is, and how the table of options becomes its flags.
 *
 * A command declares its flags, then turns what was given into a `Job` or throws a `Failure`;
 * nothing starts before all input was found good. Examples are shown in its help and are parsed as
 * written by a test.
 */
import { type Command, Option } from 'commander';
import {
  type Config,
  type ConfigLayer,
  type ConfigSources,
  parseConfig,
} from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';
import { camelCase, flagOf, type OptionSpec, optionTable } from '../shared/core/option-table.ts';
import { readConfigFile, readRunConfig } from './config-file.ts';

import type { Io, Job } from './io.ts';

export interface CommandContext {
  io: Io;
  verbose: boolean;
  /** Results, warnings and failures only. */
  quiet: boolean;
  /** `npx tandem`: how the user calls this program. */
  program: string;
  /** Every command with its options, for those that tell of them. */
  root: Command;
}

/** Flags as commander gives them: by camel-cased name, absent ones left out. */
export type GivenFlags = Record<string, unknown>;

/** The run of a command that takes `RUN` or `--run DIR`. Throws `bad-option` where both are given. */
export function runOf(args: readonly string[], flags: GivenFlags): string | undefined {
  const [named] = args;
  const flag = flags['run'] as string | undefined;
  if (named !== undefined && flag !== undefined)
    throw new Failure('bad-option', `two runs: "${named}" and --run ${flag}. Give one of them.`);
  return flag ?? named;
}

export interface CommandSpec {
  /** As typed: `train`, `data preview`. */
  name: string;
  /** `[RUN]` and such, for usage. */
  positional: string;
  /** What the positional is; a run folder, where nothing else is said. */
  positionalHelp?: string;
  summary: string;
  /** [what it does, what to type after the program's name]. */
  examples: readonly (readonly [string, string])[];
  declare(command: Command): void;
  prepare(args: readonly string[], flags: GivenFlags, context: CommandContext): Job;
}

const headings = {
  method: 'The method, which decides the result:',
  operation: 'The operation, which may differ at each resume:',
};

/** Its help with choices and default. */
export function helpOf(option: OptionSpec): string {
  const choices = option.kind.kind === 'choice' ? ` (${option.kind.of.join(', ')})` : '';
  const preset =
    option.preset === null || option.preset === false ? '' : ` (default ${option.preset})`;
  return `${option.help}${choices}${preset}`;
}

/** Declares options of the table; all of them, or those named. */
export function declareOptions(command: Command, names?: readonly string[]): void {
  const chosen = optionTable.filter((option) => names?.includes(option.name) ?? true);
  for (const option of chosen) {
    const heading = names === undefined ? headings[option.group] : 'Options:';
    command.addOption(new Option(flagOf(option), helpOf(option)).helpGroup(heading));
    if (option.kind.kind === 'switch') {
      command.addOption(new Option(`--no-${option.name}`).hideHelp());
    }
  }
}

/** The layer of flags: those that the table knows and that were given. */
export function flagLayer(flags: GivenFlags): ConfigLayer {
  const given = optionTable
    .map((option) => [option.name, flags[camelCase(option.name)]] as const)
    .filter(([, value]) => value !== undefined);
  return { source: 'flag', values: Object.fromEntries(given) };
}

/**
 * The config of `train` and `coordinator`: defaults < the run's own `config.yaml` < `--config` <
 * flags.
 */
export function readConfig(flags: GivenFlags): { config: Config; sources: ConfigSources } {
  const file = typeof flags['config'] === 'string' ? readConfigFile(flags['config']) : null;
  const own = flagLayer(flags);
  const run = own.values['run'] ?? file?.values['run'];
  const resumed = typeof run === 'string' ? readRunConfig(run) : null;
  return parseConfig([...(resumed ? [resumed] : []), ...(file ? [file] : []), own]);
}
