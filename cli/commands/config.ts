/**
 * `tandem config print`: every option with its value and where it comes from, and what follows from
 * them. `tandem config schema`: the JSON Schema of the file, for editors.
 */
import { openDataset } from '../../shared/adapters/open-dataset.ts';
import { camelCase, optionTable } from '../../shared/core/option-table.ts';
import {
  type Config,
  type ConfigSources,
  configWarnings,
  methodOf,
} from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type CommandSpec, declareOptions, readConfig } from '../command.ts';
import { configSchemaText } from '../config-schema.ts';
import { withData } from '../data-option.ts';
import { derive, derivedRows } from '../derived.ts';

/** YAML of a value; text is quoted as JSON where it is not a plain word. */
function yamlOf(value: unknown): string {
  if (value === null) return '';
  return typeof value === 'string' && !/^[A-Za-z./][\w./-]*$/.test(value)
    ? JSON.stringify(value)
    : String(value);
}

/** A YAML file that `--config` takes, with the source of each value beside it. */
export function configText(config: Config, sources: ConfigSources): string {
  const lines: string[] = [];
  for (const group of ['method', 'operation'] as const) {
    lines.push(
      group === 'method' ? '# The method, which decides the result.' : '\n# The operation.',
    );
    for (const { name } of optionTable.filter((option) => option.group === group)) {
      const key = camelCase(name) as keyof Config;
      const set = `${name}: ${yamlOf(config[key])}`.trimEnd();
      // An option that nobody set stays a comment: a file may not name epochs and steps at once.
      const line = config[key] === null ? `# ${set}` : set;
      lines.push(`${line.padEnd(34)} # ${sources[key]}`);
    }
  }
  return lines.join('\n');
}

/** What a run with so many images would warn of, and what it would be refused for. */
function soundness(
  config: Config,
  images: number | null,
): { warnings: string[]; refused: Failure | null } {
  if (images === null) return { warnings: [], refused: null };
  try {
    methodOf(config, images);
  } catch (error) {
    if (error instanceof Failure) return { warnings: [], refused: error };
    throw error;
  }
  return { warnings: configWarnings(config, images).map(({ message }) => message), refused: null };
}

export const configPrintCommand: CommandSpec = {
  name: 'config print',
  positional: '',
  summary: 'every option, where its value comes from, and what follows from them',
  examples: [
    ['for these photographs', 'config print --data . --epochs 20'],
    ['as a file for --config', 'config print --data synthetic --size 32'],
    [
      'a file with one thing changed, as JSON',
      'config print --config deploy/demo.yaml --seed 2 --json',
    ],
  ],
  declare(command) {
    command.option('--config <FILE>', 'YAML file of these options; flags win over it');
    declareOptions(command);
  },
  prepare(args, flags, { io }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const { config: given, sources } = readConfig(flags);
    const config = given.data === null ? given : withData(given);
    return async (signal) => {
      const images =
        config.data === null
          ? null
          : (await openDataset(config.data).index(undefined, signal)).samples.length;
      const derived = derive(config, images);
      const { warnings, refused } = soundness(config, images);
      if (config.json) {
        const options = Object.fromEntries(
          optionTable.map(({ name, group }) => {
            const key = camelCase(name) as keyof Config;
            return [name, { value: config[key], source: sources[key], group }];
          }),
        );
        io.stdout.write(`${JSON.stringify({ options, derived, warnings })}\n`);
        if (refused !== null) throw refused;
        return 0;
      }
      const rows = derivedRows(derived, config).map(([name, value]) => `# ${name}: ${value}`);
      const text = [configText(config, sources), '', '# What follows from it.', ...rows, ''];
      for (const message of warnings) text.splice(-1, 0, `# warning: ${message}`);
      io.stdout.write(text.join('\n'));
      if (refused !== null) throw refused;
      return 0;
    };
  },
};

export const configSchemaCommand: CommandSpec = {
  name: 'config schema',
  positional: '',
  summary: 'the JSON Schema of the YAML file of options',
  examples: [['for an editor', 'config schema']],
  declare: () => undefined,
  prepare(args, _flags, { io }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    return async () => {
      io.stdout.write(configSchemaText());
      return 0;
    };
  },
};
