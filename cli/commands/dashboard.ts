/**
 * `tandem dashboard RUN`: the dashboard of a run folder, finished or going on. Only reads.
 */
import { serveDashboard } from '../../dashboard/server.ts';
import { readToken } from '../../shared/adapters/token-file.ts';
import { parseAddress } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { fold } from '../../shared/core/summary.ts';
import { type CommandSpec, runOf } from '../command.ts';
import { followFolder } from '../follow-folder.ts';
import { checkRunFolder, summaryOf } from '../run-folder.ts';

export const dashboardCommand: CommandSpec = {
  name: 'dashboard',
  positional: '[RUN]',
  summary: 'a page in the browser with the curves, workers and events of a run',
  examples: [
    ['a run on this machine', 'dashboard runs/a'],
    ['on a fixed port', 'dashboard runs/a --listen 127.0.0.1:8080'],
    ['for others, with a token', 'dashboard runs/a --listen 0.0.0.0:8080 --token-file token'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder');
    command.option('--json', 'where it is served, as one JSON object');
    command.option('--listen <HOST:PORT>', 'where to serve; port 0: a free one', '127.0.0.1:0');
    command.option('--token-file <FILE>', 'a token that others must give; needed off loopback');
  },
  prepare(args, flags, { io }) {
    const run = runOf(args, flags);
    if (run === undefined)
      throw new Failure('bad-option', 'say which run: a run folder, such as runs/0001.');
    const listen = parseAddress(String(flags['listen']));
    if (listen === null) {
      const message = `--listen expects HOST:PORT, not "${flags['listen']}".`;
      throw new Failure('bad-option', message);
    }
    const tokenFile = flags['tokenFile'] as string | undefined;
    return async (signal) => {
      checkRunFolder(run);
      const token = tokenFile === undefined ? null : readToken('token-file', tokenFile);
      let summary = await summaryOf(run);
      const source = {
        summary: () => summary,
        after: (since: number, stop: AbortSignal) =>
          followFolder(run, { since, signal: stop, wait: true }),
      };
      const dashboard = await serveDashboard({ listen, token, source });
      const text = `dashboard of ${run}: ${dashboard.url} (Ctrl-C ends it)`;
      const json = flags['json'] === true;
      io.stdout.write(`${json ? JSON.stringify({ run, url: dashboard.url }) : text}\n`);
      for await (const event of source.after(summary.seq, signal)) summary = fold(summary, event);
      await dashboard.close();
      return 0;
    };
  },
};
