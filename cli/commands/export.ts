/**
 * `tandem export RUN|CHECKPOINT --out DIR`: encoder and heads for PyTorch, with a model card.
 */
import { Failure } from '../../shared/core/failures.ts';
import type { CommandSpec } from '../command.ts';
import { printable } from '../../shared/core/format.ts';

export const exportCommand: CommandSpec = {
  name: 'export',
  positional: 'RUN',
  positionalHelp: 'run folder (its newest checkpoint), or runs/0001/checkpoints/step-00000012',
  summary: 'write encoder and heads of a checkpoint for PyTorch, with a model card',
  examples: [
    ['the newest checkpoint of a run', 'export runs/0001 --out encoders/flowers'],
    ['an earlier one', 'export runs/0001/checkpoints/step-00000100 --out encoders/early'],
  ],
  declare(command) {
    command.option('--out <DIR>', 'folder to make');
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io, quiet }) {
    const [path] = args;
    if (path === undefined)
      throw new Failure('bad-option', 'say what to export: tandem export RUN --out DIR.');
    if (typeof flags['out'] !== 'string')
      throw new Failure('bad-option', 'say where to: --out DIR, a folder to be made.');
    const out = flags['out'];
    const say = (line: string): unknown => quiet || io.stderr.write(`tandem: ${printable(line)}\n`);
    return async (signal) => {
      const { chooseCheckpoint } = await import('../checkpoint-path.ts');
      const { exportEncoder } = await import('../export-encoder.ts');
      const chosen = await chooseCheckpoint(path, signal, (checkpoint, damage) => {
        say(`${checkpoint} is damaged: ${damage}. Taking the one before.`);
      });
      const record = await exportEncoder(chosen, out, signal, say);
      const text =
        `${out}: encoder and heads of step ${chosen.step} of ${chosen.name}, README.md\n` +
        `encoder.safetensors ${record.digest}`;
      io.stdout.write(
        `${flags['json'] === true ? JSON.stringify({ out, ...record }) : printable(text)}\n`,
      );
      return 0;
    };
  },
};
