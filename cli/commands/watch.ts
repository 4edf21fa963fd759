/**
 * `tandem watch`: a run on the full screen of a terminal, or its events as lines or as JSON; live,
 * from its folder, its coordinator or NATS. Only reads, and ends with the run.
 */
import { emptySummary, fold, type RunSummary } from '../../shared/core/summary.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type NatsTarget, natsTarget } from '../../shared/adapters/nats-connection.ts';
import { type CommandSpec, type GivenFlags, runOf } from '../command.ts';
import { type Io, terminalOf } from '../io.ts';
import { eventLine } from '../event-line.ts';
import { followEvents } from '../follow.ts';
import { watchScreen } from '../watch-screen.ts';
import { checkRunFolder } from '../run-folder.ts';
import { declareSecurity, securityOf, securityOfRun } from '../security.ts';
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

/** What stays on the terminal after the full screen is gone. */
function eventLineOfEnd({ run, step, result }: RunSummary): string {
  const how = result?.stopped ? 'stopped' : 'done';
  return `${run} ${how} at step ${step}, digest ${result?.digest}`;
}

export const watchCommand: CommandSpec = {
  name: 'watch',
  positional: '[RUN]',
  summary: 'watch a run: a full screen on a terminal, its events as lines elsewhere',
  examples: [
    ['a run on this machine', 'watch runs/a'],
    ['as JSON, one event a line', 'watch --run runs/a --json'],
    ['from its coordinator', 'watch --coordinator 127.0.0.1:7070 --since 100'],
    ['from NATS, refilled from the folder', 'watch --nats nats://127.0.0.1:4222 --run runs/a'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder (with --nats also the name of the run)');
    command.option('--coordinator <HOST:PORT>', 'ask the coordinator (or TANDEM_COORDINATOR)');
    declareSecurity(command);
    command.option('--nats <URL>', 'listen on a NATS server');
    command.option('--nats-credentials <FILE>', 'credentials, nkey seed or token for it');
    command.option('--nats-ca <FILE>', 'certificates that NATS over TLS needs');
    command.option('--nats-cert <FILE>', 'our own certificate for NATS');
    command.option('--nats-key <FILE>', 'the key of --nats-cert');
    command.option('--since <SEQ>', 'only events after this number', '0');
    command.option('--lines', 'events as lines on a terminal too, not the full screen');
    command.option('--json', 'each event as one line of JSON');
  },
  prepare(args, flags, { io }) {
    const run = runOf(args, flags);
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
    const security = run === undefined ? securityOf(flags) : securityOfRun(flags, run);
    return async (signal) => {
      if (run !== undefined && nats === undefined && coordinator === undefined) checkRunFolder(run);
      const onGap = (first: number, last: number): void => {
        io.stderr.write(`tandem: events ${first} to ${last} were missed and cannot be had.\n`);
      };
      let summary = emptySummary;
      const where = { run, nats, coordinator, security };
      const options = { ...where, since: Number(since), signal, onGap };
      const { live, colour } = terminalOf(io.stdout, io.env);
      if (live && !json && flags['lines'] !== true) {
        // The whole screen needs the run from its beginning, whatever number was asked for.
        const follow = (stop: AbortSignal) =>
          followEvents({ ...options, since: 0, signal: stop, onGap: () => undefined });
        summary = await watchScreen(follow, io.stdout, colour, signal);
        if (summary.result !== null) io.stdout.write(`${eventLineOfEnd(summary)}\n`);
        return 0;
      }
      for await (const event of followEvents(options)) {
        summary = fold(summary, event);
        const line = json ? JSON.stringify(event) : eventLine(event, summary.outputWidth);
        io.stdout.write(`${line}\n`);
      }
      return 0;
    };
  },
};
