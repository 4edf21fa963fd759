/**
 * `tandem report RUN… --out FILE.html`: one page about some runs, figures as files beside it, and on
 * request event files for TensorBoard. Only reads the runs.
 */
import { Failure } from '../../shared/core/failures.ts';
import type { CommandSpec } from '../command.ts';
import { plural, printable } from '../format.ts';

const runsMost = 32;

export const reportCommand: CommandSpec = {
  name: 'report',
  positional: 'RUN...',
  positionalHelp: 'run folders; curves of several are laid over each other',
  summary: 'one HTML page about some runs: curves, workers, evaluations',
  examples: [
    ['one run', 'report runs/0001 --out report.html'],
    ['two side by side', 'report runs/epochs-50 runs/epochs-75 --out compare.html'],
    ['for TensorBoard as well', 'report runs/0001 --tensorboard logs'],
  ],
  declare(command) {
    command.option('--out <FILE>', 'HTML file to write', 'report.html');
    command.option('--title <TEXT>', "the page's title");
    command.option('--tensorboard <DIR>', 'folder for event files, one below it a run');
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io, quiet, root }) {
    if (args.length === 0)
      throw new Failure('bad-option', 'say which runs: tandem report RUN… --out FILE.html.');
    if (args.length > runsMost)
      throw new Failure(
        'bad-option',
        `at most ${runsMost} runs fit on a page, not ${args.length}.`,
      );
    const out = String(flags['out']);
    const title = typeof flags['title'] === 'string' ? flags['title'] : null;
    const folder = typeof flags['tensorboard'] === 'string' ? flags['tensorboard'] : null;
    const say = (line: string): unknown => quiet || io.stderr.write(`tandem: ${printable(line)}\n`);
    return async (signal) => {
      const { makeReport } = await import('../make-report.ts');
      const request = { runs: args, out, title, tensorboard: folder };
      const version = root.version() ?? '';
      const { page, figures, tensorboard } = await makeReport(request, version, signal, say);
      const lines = [
        `${page}: ${plural(args.length, 'run')}, ${plural(figures.length / 2, 'figure')} beside it`,
        ...tensorboard.map((path) => `${path}: for TensorBoard`),
      ];
      io.stdout.write(
        flags['json'] === true
          ? `${JSON.stringify({ page, figures, tensorboard })}\n`
          : `${printable(lines.join('\n'))}\n`,
      );
      return 0;
    };
  },
};
