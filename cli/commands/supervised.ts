/**
 * `tandem supervised`: the baseline, the same backbone trained with labels.
 */
import type { CommandSpec } from '../command.ts';
import { prepareTrain, trainCommand } from './train.ts';

/** `train --objective supervised`, under a name of its own. */
export const supervisedCommand: CommandSpec = {
  name: 'supervised',
  positional: '',
  summary: 'train the same backbone with labels, on the same machinery: the baseline',
  examples: [
    [
      'from scratch, on the photographs in this folder',
      'supervised --data . --model resnet18 --size 64 --batch 128 --validation 0.15 --epochs 50',
    ],
  ],
  declare: trainCommand.declare,
  prepare(args, flags, context) {
    const objective = flags['objective'] ?? 'supervised';
    return prepareTrain(args, { ...flags, objective }, context);
  },
};
