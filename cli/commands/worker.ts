/**
 * `tandem worker`: joins a coordinator and computes until the run is done.
 */
import { parseAddress, parseConfig } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { workerOptionNames } from '../../shared/core/option-table.ts';
import { graceMsPreset } from '../../shared/wire/limits.ts';
import { type CommandSpec, declareOptions, flagLayer } from '../command.ts';
import { terminalOf } from '../io.ts';
import { openLog, parseLogLine, prettyLogLine } from '../log.ts';
import { coordinatorOf } from '../run-folder.ts';
import { declareSecurity, securityOf, securityOfRun } from '../security.ts';

/** HOST:PORT, checked. Throws `bad-option`. */
export function checkAddress(address: string): string {
  const parsed = parseAddress(address);
  if (parsed !== null && parsed.port > 0) return address;
  throw new Failure(
    'bad-option',
    `--coordinator expects HOST:PORT, such as 127.0.0.1:7070, not "${address}".`,
  );
}

export const workerCommand: CommandSpec = {
  name: 'worker',
  positional: '',
  summary: 'join a coordinator and compute until the run is done',
  examples: [
    ['images fetched from the coordinator', 'worker --coordinator 127.0.0.1:7070'],
    ['images from a folder here', 'worker --coordinator 127.0.0.1:7070 --data . --require-gpu'],
    ['the run on this machine', 'worker --run runs/a'],
    [
      'over TLS',
      'worker --coordinator 10.0.0.1:7070 --tls-ca ca.crt --tls-cert worker.crt --tls-key worker.key',
    ],
  ],
  declare(command) {
    command.option('--coordinator <HOST:PORT>', 'where it listens (or TANDEM_COORDINATOR)');
    command.option('--name <NAME>', 'a name for events and status');
    command.option('--grace <SECONDS>', 'after SIGTERM: how long to stay for what it holds (20)');
    command.option(
      '--until-done',
      'wait while a coordinator is away; sent away before the end, exit with 75',
    );
    declareSecurity(command);
    declareOptions(command, ['run', 'health', ...workerOptionNames]);
  },
  prepare(args, flags, { io, verbose }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const { config } = parseConfig([flagLayer(flags)]);
    const name = flags['name'];
    if (name !== undefined && (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))) {
      throw new Failure(
        'bad-option',
        '--name expects 1 to 64 letters, digits, dots, dashes or underscores.',
      );
    }
    const grace = Number(flags['grace'] ?? graceMsPreset / 1000);
    if (!(grace >= 0 && grace <= 86_400))
      throw new Failure(
        'bad-option',
        `--grace expects 0 to 86400 seconds, not "${flags['grace']}".`,
      );
    const given = flags['coordinator'] ?? (config.run ? undefined : io.env['TANDEM_COORDINATOR']);
    if (typeof given === 'string') checkAddress(given);
    else if (config.run === null) {
      throw new Failure(
        'bad-option',
        'say which coordinator to join: --coordinator HOST:PORT, or --run DIR on its machine.',
      );
    }
    const security = config.run === null ? securityOf(flags) : securityOfRun(flags, config.run);
    return async (signal) => {
      const address = typeof given === 'string' ? given : coordinatorOf(config.run ?? '')?.address;
      if (address === undefined) {
        const message = `no coordinator lives in ${config.run}: start one with "tandem coordinator".`;
        throw new Failure('coordinator-unreachable', message);
      }
      const { runWorker } = await import('../../worker/main.ts');
      const { data, backend, requireGpu, health } = config;
      const identity = typeof name === 'string' ? { name } : {};
      const { live, colour } = terminalOf(io.stderr, io.env);
      const log = openLog({
        program: 'worker',
        ...(typeof name === 'string' ? { fields: { worker: name } } : {}),
        verbose,
        write: (line) => {
          const drawn = live ? parseLogLine(line) : null;
          io.stderr.write(`${drawn === null ? line : prettyLogLine(drawn, colour)}\n`);
        },
      });
      const common = { coordinator: address, security, data, backend, requireGpu, signal };
      const graceMs = 1000 * grace;
      const left = await runWorker({
        ...common,
        ...identity,
        graceMs,
        health,
        untilDone: flags['untilDone'] === true,
        say: (line, level = 'warn') => log[level](line),
      });
      if (signal.aborted && !left) return 130;
      // Whoever counts a 0 as "the work is done" must not count a worker that was sent away.
      return signal.aborted && flags['untilDone'] === true ? 75 : 0;
    };
  },
};
