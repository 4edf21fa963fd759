/**
 * The JSON Schema of the YAML file of options, made from the table of options, so that editors
 * complete and check what `--config` takes. `deploy/run.schema.json` is this, written down.
 */
import { type OptionSpec, optionTable } from '../shared/core/option-table.ts';

function typeOf({ kind }: OptionSpec): Record<string, unknown> {
  switch (kind.kind) {
    case 'whole':
      return { type: 'integer', minimum: kind.least, maximum: kind.most };
    case 'number':
      return kind.orEqual
        ? { type: 'number', minimum: kind.least, maximum: kind.most }
        : { type: 'number', exclusiveMinimum: kind.least, maximum: kind.most };
    case 'choice':
      return { type: 'string', enum: [...kind.of] };
    case 'switch':
      return { type: 'boolean' };
    default:
      return { type: 'string', minLength: 1 };
  }
}

/** The schema as one value. */
export function configSchema(): Record<string, unknown> {
  const properties = Object.fromEntries(
    optionTable.map((option) => [
      option.name,
      {
        description: option.help,
        ...typeOf(option),
        ...(option.preset === null ? {} : { default: option.preset }),
      },
    ]),
  );
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Options of tandem train and tandem coordinator',
    type: 'object',
    additionalProperties: false,
    not: { required: ['epochs', 'steps'] },
    properties,
  };
}

export const configSchemaText = (): string => `${JSON.stringify(configSchema(), null, 2)}\n`;
