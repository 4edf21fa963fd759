/**
 * `tandem train`: one coordinator and N workers on this machine, watched until the run is done.
 *
 * The front only parses, chooses the folder, draws what the run's events say and prints the
 * result; processes are `superviseTrain`'s business. A run that is complete already is not
 * started again: its result is printed.
 */
import { statSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { makeFolder } from '../../shared/adapters/durable.ts';
import {
  type Config,
  configWarnings,
  describeDifference,
  methodDifference,
  methodOf,
  parseConfig,
} from '../../shared/core/config.ts';
import { Failure, type FailureCode, failures } from '../../shared/core/failures.ts';
import { emptySummary, type RunSummary } from '../../shared/core/summary.ts';
import {
  type CommandContext,
  type CommandSpec,
  declareOptions,
  type GivenFlags,
  readConfig,
} from '../command.ts';
import { readRunConfig } from '../config-file.ts';
import { withData } from '../data-option.ts';
import { derive, derivedLine } from '../derived.ts';
import { drawRun } from '../draw-run.ts';
import { eventText } from '../event-line.ts';
import { bytes, printable } from '../../shared/core/format.ts';
import { type Job, silent, terminalOf } from '../io.ts';
import { parseLogLine, prettyLogLine } from '../log.ts';
import { isComplete, resultBlock, resultObject } from '../result.ts';
import { chanceOf, freeBytesAt, imagesOf, makeRunFolder, summaryOf } from '../run-folder.ts';
import { checkNats, startBroker } from '../nats-broker.ts';
import { checkOwnWorkers } from '../security.ts';
import { superviseTrain } from '../supervise.ts';
import { isUnasked, withoutStamp } from '../tensorflow-lines.ts';

const notedMax = 100;

function isFailureCode(code: string): code is FailureCode {
  return Object.hasOwn(failures, code);
}

function checkWorkers(config: Config): void {
  if (config.minWorkers <= config.workers) return;
  throw new Failure(
    'bad-option',
    `--min-workers ${config.minWorkers} is above --workers ${config.workers}: it would wait for ever.`,
  );
}

/** Refuses to print the result of a complete run for another method than was asked. */
function checkSameMethod(config: Config, run: string, summary: RunSummary): void {
  const own = readRunConfig(run);
  if (own === null) return;
  const images = imagesOf(run) ?? summary.images;
  const before = methodOf(parseConfig([own]).config, images);
  const differences = methodDifference(before, methodOf(config, images));
  if (differences.length === 0) return;
  throw new Failure(
    'other-method',
    `${run} is a finished run of another method: ${describeDifference(differences)}. Use another ` +
      '--run, or leave those options out.',
  );
}

async function printResult(
  summary: RunSummary,
  run: string,
  config: Config,
  { io, program }: CommandContext,
): Promise<void> {
  const picture = join(run, 'loss.svg');
  const block = resultBlock(summary, {
    run,
    program,
    lossPicture: statSync(picture, { throwIfNoEntry: false }) ? picture : null,
    chance: await chanceOf(run),
  });
  (config.json ? io.stderr : io.stdout).write(block);
  if (config.json) io.stdout.write(`${JSON.stringify(resultObject(summary, run))}\n`);
}

async function openFolder(run: string): Promise<void> {
  try {
    await makeFolder(run);
  } catch (cause) {
    const reason = (cause as Error).message;
    const message = `cannot make the run folder ${run}: ${reason}. Choose another --run.`;
    throw new Failure('disk', message, { cause });
  }
}

async function train(asked: Config, context: CommandContext, signal: AbortSignal): Promise<number> {
  const { io, verbose, quiet } = context;
  const folder = asked.run ?? makeRunFolder();
  const run = relative('', resolve(folder)) || '.';
  await openFolder(run);
  const config = { ...asked, run };
  const past = asked.run === null ? emptySummary : await summaryOf(run);
  if (isComplete(past)) {
    checkSameMethod(config, run, past);
    io.stderr.write(`${run} is finished; this is its result.\n`);
    await printResult(past, run, config, context);
    return 0;
  }

  const people = config.json ? io.stderr : io.stdout;
  const drawing = drawRun(run, past, quiet ? silent : people, io, (event) => {
    if (quiet && event.kind === 'warning') io.stderr.write(`${eventText(event)}\n`);
    if (event.kind !== 'run-opened' || event.generation > 1) return;
    const derived = derive(config, imagesOf(run) ?? event.images);
    drawing.note(derivedLine(derived));
    const free = freeBytesAt(run);
    if (free !== null && free < derived.diskBytes) {
      drawing.note(
        `warning: ${bytes(free)} of disk are free and the run folder may grow to ` +
          `${bytes(derived.diskBytes)}`,
      );
    }
    for (const { message } of configWarnings(config, event.images))
      drawing.note(`warning: ${message}`);
  });
  drawing.note(`run folder ${run}`);
  const noted = new Set<string>();
  const { live, colour } = terminalOf(people, io.env);
  const note = (line: string): void => {
    const logged = parseLogLine(line);
    // Two workers often say the same: once is enough, up to a bound.
    const text = logged?.text ?? withoutStamp(line);
    if (!verbose && (isUnasked(line) || noted.has(text))) return;
    if (noted.size < notedMax) noted.add(text);
    if (logged !== null && live && !quiet) drawing.note(prettyLogLine(logged, colour));
    else if (logged !== null || quiet) io.stderr.write(`${printable(line)}\n`);
    else drawing.note(printable(line));
  };
  let summary = past;
  const broker = config.nats === 'auto' ? await startBroker(io.env, note) : null;
  const coordinatorEnv: Record<string, string> = broker ? { TANDEM_NATS: broker.url } : {};
  try {
    const onIndexing = drawing.indexing;
    await superviseTrain({ config, signal, verbose, note, coordinatorEnv, onIndexing });
  } finally {
    await broker?.close();
    summary = await drawing.end();
    // Nothing came of it: no empty folder stays behind. One that holds anything is not removed.
    await rmdir(run).catch(() => undefined);
  }
  if (summary.failure !== null) {
    const { code, message } = summary.failure;
    throw new Failure(isFailureCode(code) ? code : 'internal', `the run failed: ${message}`);
  }
  await printResult(summary, run, config, context);
  return signal.aborted ? 130 : 0;
}

/** Also of commands that stand for `train` with some flags. */
export function prepareTrain(
  args: readonly string[],
  flags: GivenFlags,
  context: CommandContext,
): Job {
  if (args[0] !== undefined) {
    throw new Failure('bad-option', `unexpected "${args[0]}". A folder is --data ${args[0]}.`);
  }
  const config = withData(readConfig(flags).config);
  checkWorkers(config);
  checkOwnWorkers(config);
  checkNats(config, context.io.env);
  return (signal) => train(config, context, signal);
}

export const trainCommand: CommandSpec = {
  name: 'train',
  positional: '',
  summary: 'train on this machine: starts a coordinator and its workers, resumes what is there',
  examples: [
    ['a small run on drawn images', 'train --data synthetic --size 48 --batch 64 --epochs 10'],
    [
      'the photographs in this folder',
      'train --data . --model resnet18 --size 64 --batch 128 --epochs 20 --knn',
    ],
    ['12 steps, the result as JSON', 'train --data . --steps 12 --workers 4 --json'],
    ['small images, the CIFAR recipe', 'train --data . --model resnet18-cifar --size 32'],
    ['stop early, then go on', 'train --data . --run runs/a --stop-at 5'],
    ['resume with other workers', 'train --data . --run runs/a --workers 3'],
    ['options from a file', 'train --config deploy/demo.yaml --workers 1'],
  ],
  declare(command) {
    command.option('--config <FILE>', 'YAML file of these options; flags win over it');
    declareOptions(command);
  },
  prepare: prepareTrain,
};
