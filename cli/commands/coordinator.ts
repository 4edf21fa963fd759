/**
 * `tandem coordinator`: the coordinator alone, for workers that are started by hand or by a cluster.
 *
 * Draws the run as `train` does; with `--json` the last line of stdout is the result.
 */
import { basename } from 'node:path';
import { runCoordinator } from '../../coordinator/main.ts';
import { Failure } from '../../shared/core/failures.ts';
import { coordinatorOptionNames } from '../../shared/core/option-table.ts';
import { type CommandSpec, declareOptions, readConfig } from '../command.ts';
import { withData } from '../data-option.ts';
import { drawRun } from '../draw-run.ts';
import { openLog, parseLogLine, prettyLogLine } from '../log.ts';
import { checkNats } from '../nats-broker.ts';
import { silent, terminalOf } from '../io.ts';
import { resultObject } from '../result.ts';
import { makeRunFolder, summaryOf } from '../run-folder.ts';

/** How often the progress of indexing is told, milliseconds. */
const indexingMs = 250;

/** Calls at most every `indexingMs`, and for the last item. */
function seldom(tell: (done: number, total: number) => void): typeof tell {
  let told = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const now = performance.now();
    if (done < total && now - told < indexingMs) return;
    told = now;
    tell(done, total);
  };
}

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
  prepare(args, flags, { io, verbose, quiet }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const config = withData(readConfig(flags).config);
    checkNats(config, io.env);
    return async (signal) => {
      const run = config.run ?? makeRunFolder();
      // A supervisor hears the address itself and draws the run: no lines for people then.
      const people = config.json || io.toParent !== undefined ? io.stderr : io.stdout;
      const drawing =
        io.toParent === undefined
          ? drawRun(run, await summaryOf(run), quiet ? silent : people, io)
          : null;
      const note = drawing?.note ?? ((line: string) => void people.write(`${line}\n`));
      const { live, colour } = terminalOf(io.stderr, io.env);
      const log = openLog({
        program: 'coordinator',
        fields: { run: basename(run) },
        verbose,
        // On a terminal it must not break the line that is redrawn there.
        write: (line) => {
          const drawn = live && drawing !== null ? parseLogLine(line) : null;
          if (drawn !== null) note(prettyLogLine(drawn, colour));
          else io.stderr.write(`${line}\n`);
        },
      });
      let stopped = true;
      try {
        const result = await runCoordinator({
          config: { ...config, run },
          signal,
          announce: (line) => note(line),
          say: (line) => log.decision(line),
          onIndex: seldom((done, total) => {
            io.toParent?.({ indexing: { done, total } });
            drawing?.indexing(done, total);
          }),
          onListening: (address) => {
            io.toParent?.({ address });
            drawing?.note(`listening on ${address}, run folder ${run}`);
          },
        });
        stopped = result.stopped;
      } finally {
        await drawing?.end();
      }
      if (config.json) {
        io.stdout.write(`${JSON.stringify(resultObject(await summaryOf(run), run))}\n`);
      }
      // A signal after the last step ends the lingering, not the run.
      return signal.aborted && stopped ? 130 : 0;
    };
  },
};
