/**
 * The table of options: the one source of flags, YAML keys, help and parse.
 *
 * A row's `name` is the flag without its dashes and the key in the YAML file; its camel-cased form
 * is the field of `Config`. Defaults stand here and nowhere else; null means "decided elsewhere"
 * and `help` says where.
 */
import { modelNames, objectives, precisions } from './method.ts';

export type OptionKind =
  | { kind: 'whole'; least: number; most: number }
  /** A finite number; `least` itself is allowed only with `orEqual`. */
  | { kind: 'number'; least: number; orEqual: boolean; most: number }
  | { kind: 'choice'; of: readonly string[] }
  | { kind: 'switch' }
  | { kind: 'text' }
  | { kind: 'listen' }
  | { kind: 'url' };

export interface OptionSpec {
  name: string;
  kind: OptionKind;
  /** Shown in help as `--name PLACEHOLDER`; empty for switches. */
  placeholder: string;
  preset: string | number | boolean | null;
  group: 'method' | 'operation';
  help: string;
}

const whole = (least: number, most: number): OptionKind => ({ kind: 'whole', least, most });
const wholeMax = Number.MAX_SAFE_INTEGER;

const row = (
  group: OptionSpec['group'],
  name: string,
  placeholder: string,
  preset: OptionSpec['preset'],
  kind: OptionKind,
  help: string,
): OptionSpec => ({ name, kind, placeholder, preset, group, help });

export const optionTable: readonly OptionSpec[] = [
  row(
    'operation',
    'data',
    'DIR',
    null,
    { kind: 'text' },
    'folder of images or archives, one archive, or "synthetic"',
  ),
  row('method', 'model', 'NAME', 'resnet18', { kind: 'choice', of: modelNames }, 'the encoder'),
  row(
    'method',
    'objective',
    'NAME',
    'simsiam',
    { kind: 'choice', of: objectives },
    'simsiam: without labels; supervised: cross-entropy with the first folder of each path',
  ),
  row('method', 'size', 'PIXELS', 64, whole(8, 1024), 'side of a view'),
  row('method', 'batch', 'IMAGES', 128, whole(2, 1_048_576), 'global batch B'),
  row('method', 'micro-batch', 'IMAGES', 32, whole(2, 16_384), 'm, of which B is a multiple'),
  row('method', 'epochs', 'N', 20, whole(1, 1_000_000), 'passes over the data'),
  row('method', 'steps', 'N', null, whole(1, 1_000_000_000), 'steps, instead of epochs'),
  row('method', 'seed', 'N', 1, whole(0, wholeMax), 'seed of every draw'),
  row(
    'method',
    'validation',
    'SHARE',
    0,
    { kind: 'number', least: 0, orEqual: true, most: 0.9 },
    'share of the images that training does not see',
  ),
  row(
    'method',
    'learning-rate',
    'X',
    null,
    { kind: 'number', least: 0, orEqual: false, most: 1000 },
    'base learning rate, for B = 256 (0.05; models with -cifar 0.03; with labels 0.1)',
  ),
  row(
    'method',
    'weight-decay',
    'X',
    null,
    { kind: 'number', least: 0, orEqual: true, most: 1 },
    'weight decay (1e-4; models with -cifar 5e-4)',
  ),
  row(
    'method',
    'precision',
    'NAME',
    'f32',
    { kind: 'choice', of: precisions },
    'of convolutions and products; bf16: faster, if the hardware has it',
  ),
  row('operation', 'workers', 'N', 2, whole(1, 256), 'workers to start on this machine'),
  row('operation', 'min-workers', 'N', 1, whole(1, 65_536), 'start when so many are there'),
  row(
    'operation',
    'backend',
    'NAME',
    'auto',
    { kind: 'choice', of: ['auto', 'tensorflow', 'wasm'] },
    'what computes; auto: TensorFlow, else wasm with a warning',
  ),
  row('operation', 'require-gpu', '', false, { kind: 'switch' }, 'refuse to compute on a CPU'),
  row(
    'operation',
    'mixed-devices',
    '',
    false,
    { kind: 'switch' },
    'admit other device classes; the run is then marked not reproducible',
  ),
  row(
    'operation',
    'audit',
    'SHARE',
    0,
    { kind: 'number', least: 0, orEqual: true, most: 1 },
    'of the micro-batches: computed by two workers, which must agree; 1: all',
  ),
  row(
    'operation',
    'checkpoint-every',
    'STEPS',
    100,
    whole(1, 1_000_000_000),
    'between checkpoints',
  ),
  row(
    'operation',
    'keep-checkpoints',
    'N',
    3,
    whole(1, 1_000_000),
    'newest checkpoints that stay, besides that of step 0',
  ),
  row('operation', 'stop-at', 'STEP', null, whole(1, 1_000_000_000), 'stop early; can be resumed'),
  row('operation', 'knn', '', false, { kind: 'switch' }, 'kNN accuracy before and after'),
  row(
    'operation',
    'monitor-every',
    'STEPS',
    null,
    whole(1, 1_000_000_000),
    'kNN accuracy and std of the features every so often; training waits for it',
  ),
  row(
    'operation',
    'run',
    'DIR',
    null,
    { kind: 'text' },
    'run folder to make or resume (a new numbered one under runs/)',
  ),
  row(
    'operation',
    'nats',
    'URL',
    null,
    { kind: 'url' },
    'publish events to a NATS server; auto: to one that train starts, if it finds nats-server',
  ),
  row(
    'operation',
    'nats-credentials',
    'FILE',
    null,
    { kind: 'text' },
    'who we are there: a credentials file, an nkey seed or a token (or TANDEM_NATS_TOKEN)',
  ),
  row(
    'operation',
    'nats-ca',
    'FILE',
    null,
    { kind: 'text' },
    'certificates that NATS over TLS needs',
  ),
  row('operation', 'nats-cert', 'FILE', null, { kind: 'text' }, 'our own certificate for NATS'),
  row('operation', 'nats-key', 'FILE', null, { kind: 'text' }, 'the key of --nats-cert'),
  row(
    'operation',
    'dashboard',
    'HOST:PORT',
    null,
    { kind: 'listen' },
    'serve a page with curves, workers and events; port 0: a free one',
  ),
  row(
    'operation',
    'dashboard-token-file',
    'FILE',
    null,
    { kind: 'text' },
    'a token that the page asks for; needed where --dashboard is not on loopback',
  ),
  row(
    'operation',
    'metrics',
    'HOST:PORT',
    null,
    { kind: 'listen' },
    'serve figures for Prometheus under /metrics',
  ),
  row(
    'operation',
    'health',
    'HOST:PORT',
    null,
    { kind: 'listen' },
    'answer gRPC health probes there, in plain text and nothing else',
  ),
  row(
    'operation',
    'linger',
    'SECONDS',
    0,
    whole(0, 2_000_000),
    'after the end: tell workers that come late that the run is over',
  ),
  row(
    'operation',
    'tls-cert',
    'FILE',
    null,
    { kind: 'text' },
    'our certificate (PEM); read again when it changes',
  ),
  row('operation', 'tls-key', 'FILE', null, { kind: 'text' }, 'the key of --tls-cert'),
  row(
    'operation',
    'tls-ca',
    'FILE',
    null,
    { kind: 'text' },
    'certificates that vouch for the other side, which must then show one',
  ),
  row(
    'operation',
    'tokens',
    'FILE',
    null,
    { kind: 'text' },
    'who joins or watches must show a token of this file (tandem token mint)',
  ),
  row('operation', 'listen', 'HOST:PORT', '127.0.0.1:0', { kind: 'listen' }, 'port 0: a free one'),
  row(
    'operation',
    'insecure',
    '',
    false,
    { kind: 'switch' },
    'allow listening beyond loopback without encryption or proof of identity',
  ),
  row(
    'operation',
    'json',
    '',
    false,
    { kind: 'switch' },
    'last line of stdout: the result as JSON',
  ),
];

export const optionNames: readonly string[] = optionTable.map((option) => option.name);

/** Options that a worker takes of the same name. */
export const workerOptionNames: readonly string[] = ['data', 'backend', 'require-gpu'];

/** Options of a client of a coordinator that say who it is and whom it trusts. */
export const tlsOptionNames: readonly string[] = ['tls-cert', 'tls-key', 'tls-ca'];

/** Options of a coordinator, which starts no workers and computes nothing. */
export const coordinatorOptionNames: readonly string[] = optionNames.filter(
  (name) => !['workers', 'backend', 'require-gpu'].includes(name),
);

/** `micro-batch` → `microBatch`. */
export function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `--min-workers N`, `--[no-]knn`: as help and commander write it. */
export function flagOf(option: OptionSpec): string {
  return option.placeholder === ''
    ? `--${option.name}`
    : `--${option.name} <${option.placeholder}>`;
}
