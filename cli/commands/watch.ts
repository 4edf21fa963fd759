/**
 * `tandem watch`: the events of a run as lines or as JSON, live, from its folder, its coordinator
 * or NATS. Only reads, and ends with the run.
 */
import { emptySummary, fold } from '../../shared/core/summary.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type NatsTarget, natsTarget } from '../../shared/adapters/nats-connection.ts';
import type { CommandSpec, GivenFlags } from '../command.ts';
import type { Io } from '../io.ts';
import { eventLine } from '../event-line.ts';
import { followEvents } from '../follow.ts';
import { checkRunFolder } from '../run-folder.ts';
import { checkAddress } from './worker.ts';

function watchedNats(flags: GivenFlags, env: Io['env']): NatsTarget | undefined {
  const text = (name: string) => flags[name] as string | undefined;
  const nats = text('nats');
  if (nats === undefined) return undefined;
  const settings = {
    nats,
    natsCredentials: text('natsCredentials'),
    natsCa: text('natsCa'),
    natsCert: text('natsCert'),
    natsKey: text('natsKey'),
  };
  return natsTarget(settings, 'tandem watch', env);
}

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
    command.option('--nats-credentials <FILE>', 'credentials, nkey seed or token for it');
    command.option('--nats-ca <FILE>', 'certificates that NATS over TLS needs');
    command.option('--nats-cert <FILE>', 'our own certificate for NATS');
    command.option('--nats-key <FILE>', 'the key of --nats-cert');
    command.option('--since <SEQ>', 'only events after this number', '0');
    command.option('--json', 'each event as one line of JSON');
  },
  prepare(args, flags, { io }) {
    const run = (flags['run'] ?? args[0]) as string | undefined;
    const nats = watchedNats(flags, io.env);
    const given = flags['coordinator'] as string | undefined;
    const alone = run === undefined && nats === undefined;
    const coordinator = given ?? (alone ? io.env['TANDEM_COORDINATOR'] : undefined);
    if (coordinator !== undefined) checkAddress(coordinator);
    if (coordinator === undefined && alone) {
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
