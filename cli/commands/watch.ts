/**
 * `tandem watch`: the events of a run as lines or as JSON, live, from its folder, its coordinator
 * or NATS. Only reads, and ends with the run.
 */
import { emptySummary, fold } from '../../shared/core/summary.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { CommandSpec } from '../command.ts';
import { eventLine } from '../event-line.ts';
import { followEvents } from '../follow.ts';
import { checkRunFolder } from '../run-folder.ts';
import { checkAddress } from './worker.ts';

export const watchCommand: CommandSpec = {
  name: 'watch',
  positional: '[RUN]',
  summary: 'print the events of a run as they happen',
  examples: [
    ['a run on this machine', 'watch runs/a'],
    ['as JSON, one event a line', 'watch --run runs/a --json'],
    ['from its coordinator', 'watch --coordinator 127.0.0.1:7070 --since 100'],
    ['from NATS, refilled from the folder', 'watch --nats nats://127.0.0.1:4222 --run runs/a'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder (with --nats also the name of the run)');
    command.option('--coordinator <HOST:PORT>', 'ask the coordinator (or TANDEM_COORDINATOR)');
    command.option('--nats <URL>', 'listen on a NATS server');
    command.option('--since <SEQ>', 'only events after this number', '0');
    command.option('--json', 'each event as one line of JSON');
  },
  prepare(args, flags, { io }) {
    const run = (flags['run'] ?? args[0]) as string | undefined;
    const nats = flags['nats'] as string | undefined;
    const given = flags['coordinator'] as string | undefined;
    const ask = run ?? nats ?? io.env['TANDEM_COORDINATOR'];
    const coordinator = given ?? (run === undefined && nats === undefined ? ask : undefined);
    if (coordinator !== undefined) checkAddress(coordinator);
    if (coordinator === undefined && ask === undefined) {
      throw new Failure(
        'bad-option',
        'say which run to watch: a run folder, --coordinator HOST:PORT or --nats URL.',
      );
    }
    const since = String(flags['since'] ?? '0');
    if (!/^\d{1,15}$/.test(since)) {
      throw new Failure('bad-option', `--since expects a whole number from 0, not "${since}".`);
    }
    const json = flags['json'] === true;
    return async (signal) => {
      if (run !== undefined && nats === undefined && coordinator === undefined) checkRunFolder(run);
      const onGap = (first: number, last: number): void => {
        io.stderr.write(`tandem: events ${first} to ${last} were missed and cannot be had.\n`);
      };
      let summary = emptySummary;
      const options = { run, nats, coordinator, since: Number(since), signal, onGap };
      for await (const event of followEvents(options)) {
        summary = fold(summary, event);
        const line = json ? JSON.stringify(event) : eventLine(event, summary.outputWidth);
        io.stdout.write(`${line}\n`);
      }
      return 0;
    };
  },
};
