/**
 * `tandem report RUN… --out FILE.html`: one page about some runs, figures as files beside it, and on
 * request event files for TensorBoard and a gallery. Only reads the runs.
 */
import { parseConfig } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type CommandSpec, declareOptions, flagLayer } from '../command.ts';
import { withData } from '../data-option.ts';
import { plural, printable } from '../../shared/core/format.ts';

const runsMost = 32;
/** Options of the table that a gallery takes. */
const ofGallery = ['backend'];

export const reportCommand: CommandSpec = {
  name: 'report',
  positional: 'RUN...',
  positionalHelp: 'run folders (curves of several are laid over each other), encoder folders',
  summary: 'one HTML page about some runs: curves, workers, evaluations',
  examples: [
    ['one run', 'report runs/0001 --out report.html'],
    ['two side by side', 'report runs/epochs-50 runs/epochs-75 --out compare.html'],
    ['with nearest neighbours, pictures in the page', 'report runs/0001 --gallery'],
    ['for TensorBoard as well', 'report runs/0001 --tensorboard logs'],
  ],
  declare(command) {
    command.option('--out <FILE>', 'HTML file to write', 'report.html');
    command.option('--title <TEXT>', "the page's title");
    command.option('--tensorboard <DIR>', 'folder for event files, one below it a run');
    command.option(
      '--gallery',
      'nearest neighbours: puts small pictures of the data into the page',
    );
    command.option('--data <DIR>', "images of the gallery (each run's own, where they lay)");
    declareOptions(command, ofGallery);
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
    const tensorboard = typeof flags['tensorboard'] === 'string' ? flags['tensorboard'] : null;
    const given = flags['data'];
    if (given !== undefined && flags['gallery'] !== true)
      throw new Failure('bad-option', '--data is for the gallery: add --gallery, or leave it out.');
    const layer = flagLayer(flags);
    const own = Object.entries(layer.values).filter(([name]) => ofGallery.includes(name));
    const { config } = parseConfig([{ source: 'flag', values: Object.fromEntries(own) }]);
    const data = typeof given === 'string' ? withData({ ...config, data: given }).data : null;
    const gallery = flags['gallery'] === true ? { data, backend: config.backend } : null;
    return async (signal) => {
      const { makeReport } = await import('../make-report.ts');
      const say = (text: string): unknown =>
        quiet || io.stderr.write(`tandem: ${printable(text)}\n`);
      const request = { runs: args, out, title, tensorboard, gallery };
      const made = await makeReport(request, root.version() ?? '', signal, say);
      const lines = [
        `${made.page}: ${plural(args.length, 'run')}, ` +
          `${plural(made.figures.length / 2, 'figure')} beside it`,
        ...made.tensorboard.map((path) => `${path}: for TensorBoard`),
      ];
      const text = flags['json'] === true ? JSON.stringify(made) : printable(lines.join('\n'));
      io.stdout.write(`${text}\n`);
      return 0;
    };
  },
};
