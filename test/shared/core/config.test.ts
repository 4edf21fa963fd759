/**
 * Configuration: what is refused and in which words, what wins over what, and what it comes to.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Config,
  type ConfigLayer,
  configFlags,
  configValues,
  configWarnings,
  describeDifference,
  methodDifference,
  methodOf,
  operationOf,
  parseConfig,
} from '../../../shared/core/config.ts';
import { Failure } from '../../../shared/core/failures.ts';
import { editDistance, nearest } from '../../../shared/core/nearest.ts';
import { camelCase, optionTable } from '../../../shared/core/option-table.ts';

const flags = (values: Record<string, unknown>): ConfigLayer => ({ source: 'flag', values });
const file = (values: Record<string, unknown>, lines?: Record<string, number>): ConfigLayer => ({
  source: 'file',
  file: 'run.yaml',
  values,
  ...(lines ? { lines } : {}),
});
const configOf = (values: Record<string, unknown> = {}): Config =>
  parseConfig([flags(values)]).config;

function failureOf(act: () => unknown): Failure {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return error;
  }
  assert.fail('nothing was refused');
}

/** [what was given as flags, what the message says]. */
const badFlags: [Record<string, unknown>, string][] = [
  [{ bach: '3' }, 'unknown option "--bach". Did you mean "--batch"?'],
  [{ 'learing-rate': '1' }, 'unknown option "--learing-rate". Did you mean "--learning-rate"?'],
  [{ microBatch: '8' }, 'unknown option "--microBatch". Did you mean "--micro-batch"?'],
  [{ batch: 'many' }, '--batch expects a whole number from 2 to 1048576, not "many".'],
  [{ batch: '12.5' }, '--batch expects a whole number from 2 to 1048576, not "12.5".'],
  [{ batch: '' }, '--batch expects a whole number from 2 to 1048576, not "".'],
  [{ batch: '1' }, '--batch expects a whole number from 2 to 1048576, not "1".'],
  [{ 'micro-batch': '1' }, '--micro-batch expects a whole number from 2 to 16384, not "1".'],
  [{ seed: '-1' }, '--seed expects a whole number from 0 to 9007199254740991, not "-1".'],
  [{ seed: '0x10' }, 'not "0x10".'],
  [{ seed: '9007199254740993' }, 'a whole number from 0 to 9007199254740991'],
  [{ epochs: '0' }, '--epochs expects a whole number from 1 to 1000000, not "0".'],
  [{ steps: 'Infinity' }, '--steps expects a whole number'],
  [{ 'stop-at': '0' }, '--stop-at expects a whole number from 1'],
  [{ workers: '0' }, '--workers expects a whole number from 1 to 256, not "0".'],
  [{ workers: '257' }, '--workers expects a whole number from 1 to 256, not "257".'],
  [{ 'learning-rate': '0' }, '--learning-rate expects a number above 0, at most 1000, not "0".'],
  [{ 'learning-rate': 'NaN' }, '--learning-rate expects a number above 0'],
  [{ 'weight-decay': '-1e-4' }, '--weight-decay expects a number from 0, at most 1, not "-1e-4".'],
  [{ model: 'resnet19' }, 'resnet50-cifar, not "resnet19". Did you mean "resnet18"?'],
  [{ model: 'vgg' }, '--model expects one of resnet18, resnet34, resnet50, resnet18-cifar'],
  [{ backend: 'tensorlfow' }, 'Did you mean "tensorflow"?'],
  [{ precision: 'f16' }, '--precision expects one of f32, tf32, bf16, not "f16".'],
  [{ precision: 'bf16', backend: 'wasm' }, 'bf16 needs TensorFlow, and the backend is wasm'],
  [{ listen: '7070' }, '--listen expects HOST:PORT, such as 127.0.0.1:7070, not "7070".'],
  [{ listen: '127.0.0.1:70000' }, '--listen expects HOST:PORT'],
  [{ nats: 'http://x y' }, '--nats expects the address of a NATS server'],
  [{ run: '' }, '--run expects a path, not "".'],
  [{ data: 'a\0b' }, '--data expects a path'],
  [{ epochs: '2', steps: '5' }, '--epochs and --steps both say when the run is complete'],
  [
    { batch: '100' },
    'a global batch of 100 images is not a multiple of the micro-batch of 32: use a batch of 96 ' +
      'or 128, or a micro-batch of 25.',
  ],
  [{ batch: '16' }, 'use a batch of 32, or a micro-batch of 16.'],
  [{ size: '16' }, 'resnet18 needs views of at least 32 pixels, not 16: use a larger size, or'],
  [{ size: '4' }, '--size expects a whole number from 8 to 1024, not "4".'],
];

for (const [values, message] of badFlags) {
  test(`flags ${JSON.stringify(values)} are refused`, () => {
    const failure = failureOf(() => configOf(values));
    assert.equal(failure.code, 'bad-option');
    assert.ok(failure.message.includes(message), failure.message);
  });
}

const badFiles: [Record<string, unknown>, string][] = [
  [{ micro_batch: 8 }, 'run.yaml:7: unknown option "micro_batch". Did you mean "micro-batch"?'],
  [{ colour: 8 }, 'run.yaml:7: unknown option "colour". Known keys: data, model,'],
  [{ batch: '128' }, 'run.yaml:7: batch expects a whole number from 2 to 1048576, not "128".'],
  [{ batch: [64] }, 'run.yaml:7: batch expects a whole number from 2 to 1048576, not [64].'],
  [{ seed: 2 ** 53 }, 'run.yaml:7: seed expects a whole number from 0 to 9007199254740991'],
  [{ knn: 'yes' }, 'run.yaml:7: knn expects true or false, not "yes".'],
  [{ data: 3 }, 'run.yaml:7: data expects a path, not 3.'],
  [{ size: { width: 3 } }, 'run.yaml:7: size expects a whole number from 8 to 1024'],
  [{ batch: 33 }, 'run.yaml:7: a global batch of 33 images is not a multiple'],
];

for (const [values, message] of badFiles) {
  test(`a file with ${JSON.stringify(values)} is refused, naming the line`, () => {
    const lines = Object.fromEntries(Object.keys(values).map((key) => [key, 7]));
    const failure = failureOf(() => parseConfig([file(values, lines)]));
    assert.equal(failure.code, 'bad-config');
    assert.ok(failure.message.startsWith(message), failure.message);
  });
}

test('listening beyond loopback is refused without --insecure', () => {
  for (const listen of ['0.0.0.0:7070', '[::]:7070', 'tandem.example:1']) {
    assert.equal(failureOf(() => configOf({ listen })).code, 'insecure-listen');
    assert.equal(configOf({ listen, insecure: true }).listen, listen);
  }
  for (const listen of ['localhost:0', '127.0.0.2:7070', '[::1]:7070']) {
    assert.equal(configOf({ listen }).listen, listen);
  }
});

test('flags win over the file and the file over defaults, and each says where it came from', () => {
  const { config, sources } = parseConfig([
    file({ batch: 64, seed: 5, knn: true }),
    flags({ batch: '96', knn: false }),
  ]);
  assert.deepEqual([config.batch, config.seed, config.size, config.knn], [96, 5, 64, false]);
  assert.deepEqual(
    [sources.batch, sources.seed, sources.size, sources.knn],
    ['flag', 'file', 'default', 'flag'],
  );
});

test('steps in a stronger layer set aside epochs beneath, and the other way round', () => {
  const steps = parseConfig([file({ epochs: 5 }), flags({ steps: '7' })]).config;
  assert.deepEqual([steps.epochs, steps.steps], [null, 7]);
  const epochs = parseConfig([file({ steps: 7 }), flags({ epochs: '5' })]).config;
  assert.deepEqual([epochs.epochs, epochs.steps], [5, null]);
  assert.equal(configOf().epochs, 20);
});

test('an empty key in a file leaves the option as it was', () => {
  assert.equal(parseConfig([file({ batch: null })]).config.batch, 128);
});

test('every row of the table is a field of the config, and none is missing', () => {
  const fields = Object.keys(configOf()).sort();
  assert.deepEqual(fields, optionTable.map((option) => camelCase(option.name)).sort());
});

test('a config survives being written as flags and as a file', () => {
  const config = configOf({
    data: '-odd name',
    'learning-rate': '1e-3',
    knn: true,
    steps: '9',
    seed: '9007199254740991',
    nats: 'nats://127.0.0.1:4222',
  });
  const given = configFlags(config).map((flag): [string, unknown] => {
    const [name = '', value] = flag.slice(2).split(/=(.*)/s);
    if (value !== undefined) return [name, value];
    return name.startsWith('no-') ? [name.slice(3), false] : [name, true];
  });
  assert.deepEqual(parseConfig([flags(Object.fromEntries(given))]).config, config);
  assert.deepEqual(parseConfig([file(configValues(config))]).config, config);
});

test('total steps are K, or E·N/B rounded up', () => {
  const steps = (values: Record<string, unknown>, n: number): number =>
    methodOf(configOf(values), n).totalSteps;
  assert.equal(steps({ epochs: '20' }, 3670), 574);
  assert.equal(steps({ epochs: '1' }, 256), 2);
  assert.equal(steps({ epochs: '1' }, 257), 3);
  assert.equal(steps({ steps: '12' }, 3670), 12);
});

test('recipes differ between the ImageNet stem and the CIFAR stem', () => {
  const imagenet = methodOf(configOf(), 1000);
  assert.deepEqual([imagenet.learningRate, imagenet.weightDecay], [0.05, 1e-4]);
  assert.deepEqual([imagenet.canvas, imagenet.augmentation.blurProbability], [128, 0.5]);
  const cifar = methodOf(configOf({ model: 'resnet18-cifar', size: '32' }), 1000);
  assert.deepEqual([cifar.learningRate, cifar.weightDecay], [0.03, 5e-4]);
  assert.deepEqual([cifar.canvas, cifar.augmentation.blurProbability], [64, 0]);
  assert.equal(methodOf(configOf({ 'weight-decay': '0' }), 1000).weightDecay, 0);
});

test('a batch larger than the data is refused with one that fits', () => {
  const failure = failureOf(() => methodOf(configOf(), 100));
  assert.equal(failure.code, 'bad-option');
  assert.match(failure.message, /128 images is more than the 100 .* use --batch 96 or less/);
  assert.match(
    failureOf(() => methodOf(configOf(), 20)).message,
    /smaller --batch and --micro-batch/,
  );
  assert.equal(failureOf(() => methodOf(configOf(), 0)).code, 'data-empty');
});

test('operation fields never enter the method', () => {
  const values = { workers: '4', 'stop-at': '3', 'checkpoint-every': '7', knn: true, nats: 'a:1' };
  assert.deepEqual(methodOf(configOf(values), 500), methodOf(configOf(), 500));
  const operation = operationOf(configOf(values));
  assert.deepEqual([operation.workers, operation.stopAt, operation.checkpointEvery], [4, 3, 7]);
  const shared = Object.keys(operation).filter((key) => key in methodOf(configOf(), 500));
  assert.deepEqual(shared, []);
});

test('the difference of two methods names each field once, inner ones by their path', () => {
  const a = methodOf(configOf(), 500);
  const b = { ...methodOf(configOf({ seed: '2' }), 500) };
  b.augmentation = { ...b.augmentation, hue: 0.2, cropScale: [0.1, 1] };
  assert.deepEqual(methodDifference(a, a), []);
  const differences = methodDifference(a, b);
  assert.deepEqual(differences, [
    { field: 'seed', expected: '1', found: '2' },
    { field: 'augmentation.cropScale', expected: '[0.2,1]', found: '[0.1,1]' },
    { field: 'augmentation.hue', expected: '0.1', found: '0.2' },
  ]);
  assert.match(describeDifference(differences), /^seed is 1 in the run and 2 here; augm/);
});

test('fewer micro-batches than workers is a warning that says how many idle', () => {
  const codes = (values: Record<string, unknown>): string[] =>
    configWarnings(configOf(values), 1000).map((warning) => warning.code);
  assert.deepEqual(codes({}), []);
  assert.deepEqual(codes({ workers: '6' }), ['idle-workers']);
  assert.match(
    configWarnings(configOf({ workers: '6' }), 1000)[0]?.message ?? '',
    /so 2 will idle/,
  );
  assert.deepEqual(codes({ steps: '5', 'stop-at': '5' }), ['stop-at-unused']);
  assert.deepEqual(codes({ 'mixed-devices': true }), ['mixed-devices']);
  assert.deepEqual(codes({ listen: '0.0.0.0:1', insecure: true }), ['insecure']);
});

test('the nearest name is near: swaps count once, strangers are not offered', () => {
  assert.equal(editDistance('bacth', 'batch'), 1);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(nearest('stpes', ['steps', 'seed', 'size']), 'steps');
  assert.equal(nearest('min_worker', ['workers', 'min-workers']), 'min-workers');
  assert.equal(nearest('learning', ['learning-rate', 'listen']), 'learning-rate');
  assert.equal(nearest('zebra', ['steps', 'seed', 'size']), null);
});
