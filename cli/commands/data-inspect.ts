/**
 * `tandem data inspect DIR`: what a data set holds and what is left out, before anyone trains on it.
 */
import { openDataset } from '../../shared/adapters/open-dataset.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type CommandSpec, declareOptions, flagLayer } from '../command.ts';
import { withData } from '../data-option.ts';
import { inspectIndex, inspectText } from '../inspect.ts';
import { silent, terminalOf } from '../io.ts';
import { Progress } from '../progress.ts';

export const dataInspectCommand: CommandSpec = {
  name: 'data inspect',
  positional: '[DIR]',
  positionalHelp: 'what --data takes: a folder of images or archives, one archive',
  summary: 'count what a data set holds, what is equal in it and what is left out',
  examples: [
    ['the photographs in this folder', 'data inspect .'],
    ['with the split that a run would make', 'data inspect . --validation 0.15 --seed 1'],
    ['drawn images, as JSON', 'data inspect --data synthetic:100 --json'],
  ],
  declare(command) {
    declareOptions(command, ['data', 'seed', 'validation']);
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io, quiet }) {
    const layer = flagLayer(flags);
    if (args[0] !== undefined && layer.values['data'] !== undefined) {
      throw new Failure('bad-option', `two data sets: "${args[0]}" and --data. Give one of them.`);
    }
    layer.values['data'] ??= args[0];
    delete layer.values['json'];
    const { data, seed, validation } = withData(parseConfig([layer]).config);
    return async (signal) => {
      const now = (): number => performance.now();
      const output = quiet ? silent : io.stderr;
      const progress = new Progress({ output, ...terminalOf(output, io.env), now });
      try {
        const index = await openDataset(data).index(
          ({ done, total }) => progress.indexing(done, total),
          signal,
        );
        progress.finish();
        const report = inspectIndex(data, index, { seed, share: validation });
        io.stdout.write(
          flags['json'] === true ? `${JSON.stringify(report)}\n` : inspectText(report),
        );
      } finally {
        progress.finish();
      }
      return 0;
    };
  },
};
