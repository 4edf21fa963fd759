/**
 * Configuration: one type, one parse, from layers (defaults < file < flags) to what runs.
 *
 * `Config` holds the options as they were given. `methodOf` and `operationOf` split it into what
 * decides the bits of the checkpoint and what does not (NUMERICS 1). Every refusal is a `Failure`
 * that names the option as it was written, what was found and what to do: `bad-option` for a flag,
 * `bad-config` (with file and line) for a file.
 */
import { isLoopback, parseAddress } from './address.ts';
import { Failure } from './failures.ts';
import type { Backend, ModelName, ObjectiveName, Precision } from './method.ts';
import { didYouMean } from './nearest.ts';
import { camelCase, optionNames, optionTable } from './option-table.ts';
import {
  type ConfigLayer,
  type ConfigSource,
  type OptionValue,
  parseValue,
  refuse,
  written,
} from './option-value.ts';

export { isLoopback, parseAddress } from './address.ts';
export {
  configWarnings,
  describeDifference,
  type MethodDifference,
  methodDifference,
  methodOf,
  operationOf,
  totalStepsOf,
  trainingCount,
} from './method-of.ts';
export type { ConfigLayer, ConfigSource, OptionValue } from './option-value.ts';

/** Options of `train`; see `optionTable` for units, ranges and defaults. */
export interface Config {
  /** A folder or `synthetic`; null only where a command needs none. */
  data: string | null;
  model: ModelName;
  objective: ObjectiveName;
  size: number;
  batch: number;
  microBatch: number;
  /** Exactly one of epochs and steps is a number. */
  epochs: number | null;
  steps: number | null;
  seed: number;
  /** Share of the images held out of training, in [0, 0.9]. */
  validation: number;
  /** For B = 256; null: the default of the model's recipe. */
  learningRate: number | null;
  weightDecay: number | null;
  precision: Precision;
  workers: number;
  minWorkers: number;
  backend: Backend | 'auto';
  requireGpu: boolean;
  mixedDevices: boolean;
  audit: number;
  checkpointEvery: number;
  keepCheckpoints: number;
  stopAt: number | null;
  knn: boolean;
  monitorEvery: number | null;
  run: string | null;
  /** A server's address, or `auto`. */
  nats: string | null;
  natsCredentials: string | null;
  natsCa: string | null;
  natsCert: string | null;
  natsKey: string | null;
  dashboard: string | null;
  dashboardTokenFile: string | null;
  metrics: string | null;
  health: string | null;
  /** Seconds. */
  linger: number;
  tlsCert: string | null;
  tlsKey: string | null;
  tlsCa: string | null;
  tokens: string | null;
  listen: string;
  insecure: boolean;
  json: boolean;
}

export type ConfigSources = Record<keyof Config, ConfigSource>;

/** Pixels below which the last feature map of a network would be less than one position. */
function sizeLeast(model: ModelName): number {
  return model.endsWith('-cifar') ? 8 : 32;
}

/** The same where the model is no option, but found: in a run or a file. Throws `bad-option`. */
export function checkSize(model: ModelName, size: number): void {
  const least = sizeLeast(model);
  if (size >= least) return;
  const message = `--size expects at least ${least} pixels for a ${model}, not ${size}.`;
  throw new Failure('bad-option', message);
}

/** Refusals that need more than one option. */
function checkTogether(config: Config, blame: (name: string) => ConfigLayer): void {
  const { batch, microBatch, model, size } = config;
  if (batch % microBatch !== 0) {
    const name = blame('micro-batch').source === 'default' ? 'batch' : 'micro-batch';
    const layer = blame(name);
    const below = batch - (batch % microBatch);
    const batches = [below, below + microBatch].filter((b) => b > 0).join(' or ');
    let fits = Math.min(microBatch, batch);
    while (batch % fits !== 0) fits -= 1;
    const other = fits > 1 ? `, or a micro-batch of ${fits}` : '';
    refuse(
      layer,
      name,
      `a global batch of ${batch} images is not a multiple of the micro-batch of ${microBatch}: ` +
        `use a batch of ${batches}${other}.`,
    );
  }
  if (size < sizeLeast(model)) {
    const name = blame('size').source === 'default' ? 'model' : 'size';
    const advice = model.endsWith('-cifar')
      ? 'use a larger size.'
      : `use a larger size, or ${model}-cifar, which is made for small images.`;
    refuse(
      blame(name),
      name,
      `${model} needs views of at least ${sizeLeast(model)} pixels, not ${size}: ${advice}`,
    );
  }
  if (config.precision !== 'f32' && config.backend === 'wasm') {
    refuse(
      blame('precision'),
      'precision',
      `${config.precision} needs TensorFlow, and the backend is wasm: use precision f32.`,
    );
  }
  checkDoor(config, blame);
}

/** Others are let in over TLS and with a proof of who they are, or by `--insecure`. */
function checkDoor(config: Config, blame: (name: string) => ConfigLayer): void {
  const { tlsCert, tlsKey, tlsCa, tokens, listen } = config;
  if ((tlsCert === null) !== (tlsKey === null)) {
    const name = tlsCert === null ? 'tls-key' : 'tls-cert';
    refuse(blame(name), name, '--tls-cert and --tls-key belong together: give both.');
  }
  const host = parseAddress(listen)?.host ?? '';
  const guarded = tlsCert !== null && (tlsCa !== null || tokens !== null);
  if (isLoopback(host) || guarded || config.insecure) return;
  const missing =
    tlsCert === null
      ? 'give --tls-cert, --tls-key and --tls-ca ("tandem certs" makes them)'
      : 'say who may join with --tls-ca or --tokens';
  throw new Failure(
    'insecure-listen',
    `listening on ${listen} would let anyone who reaches this machine join the run: ${missing}, ` +
      'use 127.0.0.1, or add --insecure if the network is yours alone.',
  );
}

/**
 * One configuration from layers, the weakest first; the table's defaults lie beneath them all.
 *
 * A layer that names `steps` sets aside `epochs` of the layers beneath it, and the other way round.
 * Throws `bad-option`, `bad-config` or `insecure-listen`.
 */
export function parseConfig(layers: readonly ConfigLayer[]): {
  config: Config;
  sources: ConfigSources;
} {
  const values: Record<string, unknown> = {};
  const origin: Record<string, ConfigLayer> = {};
  const defaults: ConfigLayer = { source: 'default', values: {} };
  for (const option of optionTable) {
    values[option.name] = option.preset;
    origin[option.name] = defaults;
  }
  for (const layer of layers) {
    const given = Object.entries(layer.values).filter(([, value]) => value !== undefined);
    for (const [name, value] of given) {
      const option = optionTable.find((known) => known.name === name);
      if (option === undefined) {
        const prefix = layer.source === 'file' ? '' : '--';
        const offer = didYouMean(name, optionNames, prefix);
        const list = offer === '' ? ` Known keys: ${optionNames.join(', ')}.` : offer;
        return refuse(layer, name, `unknown option "${prefix}${name}".${list}`);
      }
      // An empty value in YAML is null: the option is left as it was beneath.
      if (value === null) continue;
      values[name] = parseValue(layer, option, value);
      origin[name] = layer;
    }
    const names = new Set(given.filter(([, value]) => value !== null).map(([name]) => name));
    if (names.has('epochs') && names.has('steps')) {
      refuse(
        layer,
        'steps',
        `${written(layer, 'epochs')} and ${written(layer, 'steps')} both say when the run is ` +
          'complete: give one of them.',
      );
    }
    if (names.has('steps')) values['epochs'] = null;
    if (names.has('epochs')) values['steps'] = null;
  }
  const pairs = optionTable.map((option) => [camelCase(option.name), values[option.name]]);
  const config = Object.fromEntries(pairs) as Config;
  checkTogether(config, (name) => origin[name] ?? defaults);
  const sources = Object.fromEntries(
    optionTable.map((option) => [camelCase(option.name), (origin[option.name] ?? defaults).source]),
  ) as ConfigSources;
  return { config, sources };
}

/** The options of a config by name, those that are null left out: what `config.yaml` holds. */
export function configValues(config: Config): Record<string, OptionValue> {
  const values: Record<string, OptionValue> = {};
  for (const option of optionTable) {
    const value = config[camelCase(option.name) as keyof Config];
    if (value !== null) values[option.name] = value;
  }
  return values;
}

/** The command line that parses back to the same config; `names` limits it to some options. */
export function configFlags(config: Config, names: readonly string[] = optionNames): string[] {
  const values = Object.entries(configValues(config)).filter(([name]) => names.includes(name));
  return values.map(([name, value]) => {
    if (typeof value === 'boolean') return value ? `--${name}` : `--no-${name}`;
    // `=` keeps a value that begins with a dash from being read as a flag.
    return `--${name}=${value}`;
  });
}
