/**
 * One value of one option: from what a flag or a file gave to what the table asks for.
 *
 * Flags give strings, a file gives YAML's types, and neither is bent: a quoted number in a file is
 * refused, because there it was written as text. Every refusal names the option as it was written
 * (`--size` or `size`), what was found, and in a file the line.
 */
import { parseAddress } from './address.ts';
import { Failure } from './failures.ts';
import { didYouMean } from './nearest.ts';
import type { OptionSpec } from './option-table.ts';

export type OptionValue = string | number | boolean;

export type ConfigSource = 'default' | 'file' | 'flag';

export interface ConfigLayer {
  source: ConfigSource;
  /** By option name (`micro-batch`). Flags may be strings; a file's values have YAML's types. */
  values: Record<string, unknown>;
  /** Name of the file, for messages. */
  file?: string;
  /** Line of each key in the file, from 1. */
  lines?: Record<string, number>;
}

/** What was found, short enough for a message. */
function found(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** Throws `bad-option`, or for a file `bad-config` with its name and the line of the key. */
export function refuse(layer: ConfigLayer, name: string, message: string): never {
  if (layer.source !== 'file') throw new Failure('bad-option', message);
  const line = layer.lines?.[name];
  const where = [layer.file ?? 'the config file', ...(line === undefined ? [] : [line])].join(':');
  throw new Failure('bad-config', `${where}: ${message}`);
}

/** How this layer writes an option: `--size` or `size`. */
export const written = (layer: ConfigLayer, name: string): string =>
  layer.source === 'file' ? name : `--${name}`;

function parseNumber(layer: ConfigLayer, value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (layer.source === 'file' || typeof value !== 'string') return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : null;
}

/** The value as its option's kind wants it, or a refusal. */
export function parseValue(layer: ConfigLayer, option: OptionSpec, value: unknown): OptionValue {
  const { kind } = option;
  const bad = (expected: string, more = ''): never =>
    refuse(
      layer,
      option.name,
      `${written(layer, option.name)} expects ${expected}, not ${found(value)}.${more}`,
    );
  switch (kind.kind) {
    case 'whole': {
      const parsed = parseNumber(layer, value);
      const { least, most } = kind;
      const expected = `a whole number from ${least} to ${most}`;
      if (parsed === null || !Number.isInteger(parsed)) return bad(expected);
      return parsed < least || parsed > most ? bad(expected) : parsed;
    }
    case 'number': {
      const parsed = parseNumber(layer, value);
      const low = kind.orEqual ? `from ${kind.least}` : `above ${kind.least}`;
      const expected = `a number ${low}, at most ${kind.most}`;
      if (parsed === null || parsed < kind.least || parsed > kind.most) return bad(expected);
      return parsed === kind.least && !kind.orEqual ? bad(expected) : parsed;
    }
    case 'choice':
      if (typeof value === 'string' && kind.of.includes(value)) return value;
      return bad(`one of ${kind.of.join(', ')}`, didYouMean(String(value), kind.of));
    case 'switch':
      return typeof value === 'boolean' ? value : bad('true or false');
    case 'text':
      return typeof value === 'string' && value.trim() !== '' && !value.includes('\0')
        ? value
        : bad('a path');
    case 'listen':
      return typeof value === 'string' && parseAddress(value) !== null
        ? value
        : bad('HOST:PORT, such as 127.0.0.1:7070');
    case 'url': {
      const valid =
        /^((nats|tls|ws|wss):\/\/)?([^\s/@]+@)?(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?\/?$/i;
      return typeof value === 'string' && (value === 'auto' || valid.test(value))
        ? value
        : bad('the address of a NATS server, such as nats://127.0.0.1:4222, or auto');
    }
  }
}
