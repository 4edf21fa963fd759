/**
 * `tandem drain`: asks a worker to hand in what it has finished and to leave.
 */
import { runClient } from '../../shared/adapters/run-client.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { CommandSpec } from '../command.ts';
import { checkRunFolder, coordinatorOf } from '../run-folder.ts';
import { declareSecurity, securityOf, securityOfRun } from '../security.ts';
import { checkAddress } from './worker.ts';

export const drainCommand: CommandSpec = {
  name: 'drain',
  positional: 'WORKER',
  summary: 'ask a worker to finish what it holds and leave',
  examples: [
    ['a worker of a run on this machine', 'drain worker-2 --run runs/a'],
    ['by way of its coordinator', 'drain worker-2 --coordinator 127.0.0.1:7070'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder');
    command.option('--json', 'as one JSON object');
    command.option('--coordinator <HOST:PORT>', 'where it listens (or TANDEM_COORDINATOR)');
    declareSecurity(command);
  },
  prepare(args, flags, { io }) {
    const [worker] = args;
    const run = flags['run'] as string | undefined;
    if (worker === undefined)
      throw new Failure('bad-option', 'say which worker: its name, as "tandem status" lists it.');
    const given = flags['coordinator'] ?? (run === undefined ? io.env['TANDEM_COORDINATOR'] : null);
    const asked = typeof given === 'string' ? checkAddress(given) : null;
    if (asked === null && run === undefined)
      throw new Failure('bad-option', 'say which run: --run DIR, or --coordinator HOST:PORT.');
    const security = run === undefined ? securityOf(flags) : securityOfRun(flags, run);
    return async (signal) => {
      if (asked === null) checkRunFolder(run ?? '');
      const address = asked ?? coordinatorOf(run ?? '')?.address;
      if (address === undefined) {
        const message = `no coordinator lives in ${run}: there is nobody to drain.`;
        throw new Failure('coordinator-unreachable', message);
      }
      await runClient(address, security).drain(worker, signal);
      const text = `${worker} is asked to leave; "tandem watch" shows when it has`;
      io.stdout.write(
        `${flags['json'] === true ? JSON.stringify({ worker, asked: true }) : text}
`,
      );
      return 0;
    };
  },
};
