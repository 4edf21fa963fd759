/**
 * The command line: from arguments to an exit code.
 *
 * `prepare` parses and finds fault; `run` also runs. Every failure ends here as one line on stderr
 * with its code, and as the exit code of the failures table (sysexits). Ctrl-C once asks a command
 * to finish in good order; twice leaves at once.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { asFailure, Failure, failures } from '../shared/core/failures.ts';
import { didYouMean } from '../shared/core/nearest.ts';
import type { CommandContext, CommandSpec } from './command.ts';
import { benchComputeCommand, benchTrainCommand } from './commands/bench.ts';
import { certsCommand } from './commands/certs.ts';
import { completionCommand } from './commands/completion.ts';
import { configPrintCommand, configSchemaCommand } from './commands/config.ts';
import { coordinatorCommand } from './commands/coordinator.ts';
import { dataGetCommand } from './commands/data-get.ts';
import { dataInspectCommand } from './commands/data-inspect.ts';
import { dataPreviewCommand } from './commands/data-preview.ts';
import { dashboardCommand } from './commands/dashboard.ts';
import { digestCommand } from './commands/digest.ts';
import { doctorCommand } from './commands/doctor.ts';
import { drainCommand } from './commands/drain.ts';
import { evalClassifierCommand, evalKnnCommand, evalLinearCommand } from './commands/eval.ts';
import { exportCommand } from './commands/export.ts';
import { importCommand } from './commands/import.ts';
import { reportCommand } from './commands/report.ts';
import { statusCommand } from './commands/status.ts';
import { tokenListCommand, tokenMintCommand, tokenRevokeCommand } from './commands/token.ts';
import { trainCommand } from './commands/train.ts';
import { supervisedCommand } from './commands/supervised.ts';
import { verifyCommand } from './commands/verify.ts';
import { watchCommand } from './commands/watch.ts';
import { workerCommand } from './commands/worker.ts';
import { printable } from '../shared/core/format.ts';
import type { Io, Job } from './io.ts';

export const commands: readonly CommandSpec[] = [
  trainCommand,
  supervisedCommand,
  coordinatorCommand,
  workerCommand,
  watchCommand,
  dashboardCommand,
  statusCommand,
  drainCommand,
  digestCommand,
  verifyCommand,
  reportCommand,
  exportCommand,
  importCommand,
  certsCommand,
  tokenMintCommand,
  tokenListCommand,
  tokenRevokeCommand,
  dataGetCommand,
  dataInspectCommand,
  dataPreviewCommand,
  evalLinearCommand,
  evalKnnCommand,
  evalClassifierCommand,
  configPrintCommand,
  configSchemaCommand,
  doctorCommand,
  completionCommand,
  benchComputeCommand,
  benchTrainCommand,
];

/** What the first words of two-word commands are for. */
const groups: Readonly<Record<string, string>> = {
  data: 'fetch and look at data',
  token: 'who may join or watch: tokens of a coordinator',
  config: 'see options and what follows from them',
  eval: 'measure what the features of a checkpoint are worth',
  bench: 'measure speed, beside PyTorch',
};

const program = 'npx tandem';

function versionOf(): string {
  // The package's root lies one folder up from the sources and two up from the compiled file.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;
    } catch {
      // Not here: the next place.
    }
  }
  return 'unknown';
}

function exampleText(spec: CommandSpec): string {
  const width = Math.max(...spec.examples.map(([what]) => what.length));
  const lines = spec.examples.map(([what, line]) => `  ${what.padEnd(width)}  ${program} ${line}`);
  return `\nExamples:\n${lines.join('\n')}\n`;
}

/** Commander's complaint as one of our failures, with the nearest known name. */
function failureOf(error: CommanderError, command: Command): Failure {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  if (error.code === 'commander.unknownOption') {
    const name = quoted.replace(/^-+/, '').replace(/=.*$/, '');
    const known = command.options.filter((o) => !o.hidden).map((o) => (o.long ?? '').slice(2));
    const offer = didYouMean(name, known, '--');
    const help = offer === '' ? ` See ${program} ${command.name()} --help.` : offer;
    return new Failure('bad-option', `unknown option "${quoted.replace(/=.*$/s, '')}".${help}`);
  }
  if (error.code === 'commander.unknownCommand') {
    const offer = didYouMean(
      quoted,
      commands.map((spec) => spec.name),
    );
    const list = commands.map((spec) => spec.name).join(', ');
    return new Failure(
      'bad-option',
      `unknown command "${quoted}".${offer || ` There are: ${list}.`}`,
    );
  }
  if (error.code === 'commander.optionMissingArgument') {
    return new Failure('bad-option', `${quoted.split(' ')[0]} needs a value: ${quoted}.`);
  }
  return new Failure('bad-option', error.message.replace(/^error: /, ''));
}

/**
 * Arguments (without node and script) to a job, or to an exit code where help or the version was
 * all that was asked. Throws a Failure for anything that is wrong with them.
 */
export function prepare(argv: readonly string[], io: Io): Job | number {
  let job: Job | null = null;
  let current = new Command();
  const settle = (command: Command): Command =>
    command
      .exitOverride()
      .showSuggestionAfterError(false)
      .configureOutput({
        writeOut: (text) => io.stdout.write(text),
        writeErr: () => undefined,
        getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 110),
      })
      .option('--verbose', 'a log of the decisions that change, stack traces with failures')
      .option('--quiet', 'results, warnings and failures only');
  const root = settle(new Command('tandem'))
    .description('SimSiam training whose checkpoint is the same, to the bit, at any cluster size.')
    .usage('COMMAND [options]')
    .version(versionOf(), '--version', 'print the version')
    .helpOption('-h, --help', 'show this; also after a command')
    .addHelpText('after', `\nStart with: ${program} ${trainCommand.examples[0]?.[1]}\n`);
  current = root;
  for (const spec of commands) {
    const words = spec.name.split(' ');
    const last = words.pop() ?? '';
    let parent = root;
    for (const word of words) {
      const known = parent.commands.find((command) => command.name() === word);
      const group = known ?? settle(new Command(word));
      group.description(groups[word] ?? '').usage('COMMAND [options]');
      if (known === undefined) parent.addCommand(group);
      parent = group;
    }
    const command = settle(new Command(last));
    parent.addCommand(command);
    command
      .description(spec.summary)
      .usage(`${spec.positional} [options]`.trim())
      .helpOption('-h, --help', 'show this')
      .allowExcessArguments(spec.positional === '')
      .addHelpText('after', exampleText(spec));
    if (spec.positional !== '') {
      const help = spec.positionalHelp ?? 'run folder, such as runs/0001';
      command.argument(`[${spec.positional.replace(/[[\]]/g, '')}]`, help);
    }
    spec.declare(command);
    command.action(() => {
      const flags = command.opts();
      const asked = (name: string): boolean => flags[name] === true || root.opts()[name] === true;
      const [verbose, quiet] = [asked('verbose'), asked('quiet')];
      if (verbose && quiet) {
        throw new Failure('bad-option', '--verbose and --quiet contradict each other: give one.');
      }
      const context: CommandContext = { io, verbose, quiet, program, root };
      job = spec.prepare(command.args, flags, context);
    });
  }
  // Which command's flags a mistyped one is compared with.
  const named = root.commands.find((command) => argv.includes(command.name()));
  current = named?.commands.find((command) => argv.includes(command.name())) ?? named ?? root;
  try {
    if (argv.length === 0) {
      root.outputHelp();
      return 0;
    }
    root.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') {
      current.outputHelp();
      return failures['bad-option'].exit;
    }
    throw failureOf(error, current);
  }
  if (job === null) throw new Failure('internal', 'the command line named no command.');
  return job;
}

/** One line for people, the code for programs, the stack for those who ask. */
function report(error: unknown, io: Io, verbose: boolean): number {
  const failure = asFailure(error);
  // A supervisor is told, and says it once in its own words.
  if (io.toParent === undefined || verbose) {
    io.stderr.write(
      `tandem: ${printable(failure.message).replaceAll('\n', ' ')} (${failure.code})\n`,
    );
  }
  io.toParent?.({ failure: { code: failure.code, message: failure.message } });
  if (verbose) {
    for (let at: unknown = failure; at instanceof Error; at = at.cause) {
      io.stderr.write(`${printable(at.stack ?? at.message, 20_000)}\n`);
    }
  }
  return failures[failure.code].exit;
}

/** The process as a command sees it. */
function processIo(): Io {
  const { stdout, stderr, env } = process;
  const send = process.send?.bind(process);
  return { stdout, stderr, env, toParent: send && ((message) => void send(message)) };
}

/** A stop that takes longer than this is explained, milliseconds. */
const noticeMs = 300;
/** Two signals within so long are one, milliseconds. */
const echoMs = 500;

/** How long a process whose supervisor died may take to finish in good order, milliseconds. */
const orphanMs = 10_000;

/**
 * Turns signals into an orderly stop. A supervised process leaves Ctrl-C to its supervisor (the
 * terminal sends it to both) and ends when that one is gone. Returns what undoes it.
 */
function listenForStops(interrupt: AbortController, io: Io): () => void {
  const supervised = io.toParent !== undefined;
  let asked = 0;
  const stop = (reason: string): void => {
    // npm passes Ctrl-C on to a program that the terminal has told already: one wish, not two.
    if (interrupt.signal.aborted && performance.now() - asked < echoMs) return;
    if (interrupt.signal.aborted) process.exit(failures.interrupted.exit);
    asked = performance.now();
    interrupt.abort(new Failure('interrupted', reason));
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (supervised && name === 'SIGINT') return;
    const first = !interrupt.signal.aborted;
    stop(`${name} received`);
    if (supervised || !first) return;
    const again = name === 'SIGINT' ? ' Ctrl-C again leaves at once.' : '';
    // What ends at once needs no words.
    setTimeout(() => {
      io.stderr.write(`\ntandem: finishing in good order.${again}\n`);
    }, noticeMs).unref();
  };
  const onOrphaned = (): void => {
    stop('the supervisor is gone');
    setTimeout(() => process.exit(failures.interrupted.exit), orphanMs).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  if (supervised) {
    process.on('disconnect', onOrphaned);
    // Listening to the supervisor must not keep a finished process alive.
    process.channel?.unref();
  }
  return () => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('disconnect', onOrphaned);
  };
}

/** A reader that went away (`| head`, or a dead supervisor) is no failure of ours. */
function onPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  if (process.send === undefined) process.exit(0);
}

/** Runs `tandem` with these arguments (without node and script); resolves to the exit code. */
export async function run(argv: readonly string[], io: Io = processIo()): Promise<number> {
  let deafen = (): void => undefined;
  // For good: what is written last may be refused after the command is over.
  for (const stream of [process.stdout, process.stderr])
    if (!stream.listeners('error').includes(onPipe)) stream.on('error', onPipe);
  try {
    const job = prepare(argv, io);
    if (typeof job === 'number') return job;
    const interrupt = new AbortController();
    deafen = listenForStops(interrupt, io);
    return await job(interrupt.signal);
  } catch (error) {
    return report(error, io, argv.includes('--verbose'));
  } finally {
    deafen();
  }
}
