/**
 * `tandem coordinator`: the coordinator alone, for workers that are started by hand or by a cluster.
 *
 * stdout tells where it listens and, with `--json`, the result; what it decides goes to stderr.
 */
import { runCoordinator } from '../../coordinator/main.ts';
import { Failure } from '../../shared/core/failures.ts';
import { coordinatorOptionNames } from '../../shared/core/option-table.ts';
import { type CommandSpec, declareOptions, readConfig } from '../command.ts';
import { withData } from '../data-option.ts';
import { printable } from '../format.ts';
import { resultObject } from '../result.ts';
import { summaryOf } from '../run-folder.ts';

export const coordinatorCommand: CommandSpec = {
  name: 'coordinator',
  positional: '',
  summary: 'the coordinator alone; workers are started with "tandem worker"',
  examples: [
    ['on a fixed port', 'coordinator --data . --listen 127.0.0.1:7070 --min-workers 2'],
    ['resume a run', 'coordinator --data . --run runs/a --listen 127.0.0.1:7070'],
  ],
  declare(command) {
    command.option('--config <FILE>', 'YAML file of these options; flags win over it');
    declareOptions(command, coordinatorOptionNames);
  },
  prepare(args, flags, { io }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const config = withData(readConfig(flags).config);
    return async (signal) => {
      const people = config.json ? io.stderr : io.stdout;
      const { run, stopped } = await runCoordinator({
        config,
        signal,
        say: (line) => io.stderr.write(`${printable(line)}\n`),
        onListening: (address, folder) =>
          people.write(`listening on ${address}, run folder ${folder}\n`),
      });
      const summary = await summaryOf(run);
      people.write(stopped ? `stopped at step ${summary.step}\n` : `done at step ${summary.step}\n`);
      if (config.json) io.stdout.write(`${JSON.stringify(resultObject(summary, run))}\n`);
      return signal.aborted ? 130 : 0;
    };
  },
};
