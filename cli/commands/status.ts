/**
 * `tandem status`: where a run stands and who works on it, from its coordinator while it lives and
 * from its events where it is gone.
 */
import { runClient } from '../../shared/adapters/run-client.ts';
import { asFailure, Failure } from '../../shared/core/failures.ts';
import type { RunSummary } from '../../shared/core/summary.ts';
import type { RunStatus } from '../../shared/wire/messages.ts';
import { type CommandSpec, runOf } from '../command.ts';
import { shortDevice } from '../event-line.ts';
import { epoch, printable, rate, signed, table } from '../../shared/core/format.ts';
import { checkRunFolder, coordinatorOf, summaryOf } from '../run-folder.ts';
import { declareSecurity, securityOf, securityOfRun } from '../security.ts';
import { checkAddress } from './worker.ts';

/** The status of a run whose coordinator is gone: nobody works on it. */
export function restingStatus(summary: RunSummary): RunStatus {
  const { run, generation, step, totalSteps, loss, std, imagesPerSecond } = summary;
  const state = summary.state === 'training' ? 'interrupted' : summary.state;
  const figures = { epoch: summary.epoch, loss, std, imagesPerSecond };
  return { run, generation, state, step, totalSteps, ...figures, workers: [] };
}

/** The table for people. */
export function statusText(status: RunStatus): string {
  const { workers, loss, std, imagesPerSecond } = status;
  const figures = [
    `step ${status.step}/${status.totalSteps}`,
    `epoch ${epoch(status.epoch)}`,
    ...(loss === null ? [] : [`loss ${signed(loss)}`]),
    ...(std === null ? [] : [`std ${signed(std)}`]),
    ...(imagesPerSecond === null ? [] : [`${rate(imagesPerSecond)} img/s`]),
  ];
  const head = `run ${status.run}: ${status.state}, generation ${status.generation}`;
  const rows = workers.map((w) => [
    w.id,
    `${w.pid}`,
    w.host,
    shortDevice(w.device),
    w.state,
    `${w.step}`,
  ]);
  const list =
    rows.length === 0
      ? 'no workers'
      : table([['WORKER', 'PID', 'HOST', 'DEVICE', 'STATE', 'STEP'], ...rows]);
  return printable([head, figures.join('  '), '', list, ''].join('\n'), 200_000);
}

export const statusCommand: CommandSpec = {
  name: 'status',
  positional: '[RUN]',
  summary: 'where a run stands and who works on it',
  examples: [
    ['a run on this machine', 'status runs/a'],
    ['as JSON', 'status --run runs/a --json'],
    ['from its coordinator', 'status --coordinator 127.0.0.1:7070'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder');
    command.option('--coordinator <HOST:PORT>', 'ask the coordinator (or TANDEM_COORDINATOR)');
    declareSecurity(command);
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io }) {
    const run = runOf(args, flags);
    const given = flags['coordinator'] ?? (run === undefined ? io.env['TANDEM_COORDINATOR'] : null);
    const asked = typeof given === 'string' ? checkAddress(given) : null;
    if (asked === null && run === undefined) {
      throw new Failure('bad-option', 'say which run: a run folder, or --coordinator HOST:PORT.');
    }
    const security = run === undefined ? securityOf(flags) : securityOfRun(flags, run);
    return async (signal) => {
      if (asked === null) checkRunFolder(run ?? '');
      const address = asked ?? coordinatorOf(run ?? '')?.address ?? null;
      let status: RunStatus | null = null;
      if (address !== null) {
        try {
          status = await runClient(address, security).status(signal);
        } catch (error) {
          // Its address can outlive a coordinator that was killed; the events still tell. One that
          // lives and does not answer us is not gone: its run is not interrupted.
          if (asked !== null || asFailure(error).code !== 'coordinator-unreachable') throw error;
        }
      }
      status ??= restingStatus(await summaryOf(run ?? ''));
      io.stdout.write(flags['json'] === true ? `${JSON.stringify(status)}\n` : statusText(status));
      return 0;
    };
  },
};
