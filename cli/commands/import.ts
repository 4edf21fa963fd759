/**
 * `tandem import FILE`: safetensors of torchvision, facebookresearch/simsiam or lightly as an
 * encoder folder, which the commands that take a checkpoint take as well.
 */
import { Failure } from '../../shared/core/failures.ts';
import type { CommandSpec } from '../command.ts';
import { count, printable } from '../../shared/core/format.ts';

const sizeOf = (given: unknown): number | null => {
  if (given === undefined) return null;
  const size = Number(given);
  if (/^\d{1,4}$/.test(String(given)) && size >= 8 && size <= 1024) return size;
  throw new Failure(
    'bad-option',
    `--size expects a whole number from 8 to 1024, not "${String(given)}".`,
  );
};

export const importCommand: CommandSpec = {
  name: 'import',
  positional: 'FILE',
  positionalHelp: 'safetensors with a ResNet of torchvision, facebookresearch/simsiam or lightly',
  summary: 'make an encoder of a safetensors file of PyTorch',
  examples: [
    [
      "torchvision's weights, saved as safetensors",
      'import resnet50.safetensors --out encoders/r50',
    ],
    ['for images of 96 pixels', 'import resnet18.safetensors --out encoders/r18 --size 96'],
  ],
  declare(command) {
    command.option('--out <DIR>', 'folder to make');
    command.option('--size <PIXELS>', 'side of an image (224; with a CIFAR stem 32)');
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io }) {
    const [file] = args;
    if (file === undefined)
      throw new Failure('bad-option', 'say what to import: tandem import FILE --out DIR.');
    if (typeof flags['out'] !== 'string')
      throw new Failure('bad-option', 'say where to: --out DIR, a folder to be made.');
    const out = flags['out'];
    const size = sizeOf(flags['size']);
    return async (signal) => {
      const { importEncoder } = await import('../import-encoder.ts');
      const { record, leftOut } = await importEncoder({ file, out, size, signal });
      if (flags['json'] === true) {
        io.stdout.write(`${JSON.stringify({ out, ...record, leftOut })}\n`);
        return 0;
      }
      const naming = record.source.kind === 'file' ? record.source.naming : '';
      const lines = [
        `${out}: ${record.model} in ${naming}'s names, ${count(record.featureWidth)} features, ` +
          `for images of ${record.preprocessing.size} pixels`,
        `encoder.safetensors ${record.digest}`,
        ...(leftOut.length > 0 ? [`left out: ${leftOut.length} tensors of heads`] : []),
      ];
      io.stdout.write(`${printable(lines.join('\n'))}\n`);
      return 0;
    };
  },
};
