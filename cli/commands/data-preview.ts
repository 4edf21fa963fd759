/**
 * `tandem data preview`: a contact sheet of images and their two views, as the run would make them.
 *
 * Each row is one image of the stream from position 0: the image, view 1, view 2. The views come
 * from the same draws as in training, so what is looked at here is what the network sees.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseConfig } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import { type CommandSpec, declareOptions, flagLayer } from '../command.ts';
import { contactTilesMax } from '../contact-sheet.ts';
import { withData } from '../data-option.ts';
import { printable } from '../../shared/core/format.ts';
import { previewInChild } from '../preview-child.ts';

export const dataPreviewCommand: CommandSpec = {
  name: 'data preview',
  positional: '',
  summary: 'write a contact sheet of view pairs',
  examples: [
    ['24 pairs of drawn images', 'data preview --data synthetic --out preview.png'],
    ['as a run with these options sees them', 'data preview --data . --size 96 --seed 7 --count 8'],
  ],
  declare(command) {
    command.option('--out <FILE>', 'PNG to write', 'preview.png');
    command.option('--count <N>', 'pairs, from the first of the stream', '24');
    command.option('--json', 'as one JSON object');
    declareOptions(command, ['data', 'model', 'size', 'seed', 'backend']);
  },
  prepare(args, flags, { io, quiet }) {
    if (args[0] !== undefined) {
      throw new Failure('bad-option', `unexpected "${args[0]}". A folder is --data ${args[0]}.`);
    }
    const config = withData(parseConfig([flagLayer(flags)]).config);
    const count = String(flags['count'] ?? '24');
    if (!/^\d{1,3}$/.test(count) || Number(count) < 1 || Number(count) > contactTilesMax) {
      throw new Failure(
        'bad-option',
        `--count expects a whole number from 1 to ${contactTilesMax}, not "${count}".`,
      );
    }
    const out = String(flags['out']);
    if (!out.toLowerCase().endsWith('.png')) {
      throw new Failure('bad-option', `--out expects the name of a PNG file, not "${out}".`);
    }
    if (!statSync(dirname(out), { throwIfNoEntry: false })?.isDirectory()) {
      const message = `--out ${out}: there is no folder ${dirname(out)}. Make it first.`;
      throw new Failure('bad-option', message);
    }
    return async (signal) => {
      const say = (line: string): unknown => quiet || io.stderr.write(`${printable(line)}\n`);
      const pairs = await previewInChild({ config, count: Number(count), out, signal, say });
      const line = `${out}: ${pairs} pairs: each image, its view 1 and its view 2`;
      io.stdout.write(`${flags['json'] === true ? JSON.stringify({ out, pairs }) : line}\n`);
      return 0;
    };
  },
};
