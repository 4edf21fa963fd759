/** `tandem completion SHELL`: a script that completes commands, options and their values. */
import { Failure } from '../../shared/core/failures.ts';
import { didYouMean } from '../../shared/core/nearest.ts';
import type { CommandSpec } from '../command.ts';
import { completionScript, type Shell, shells } from '../completion.ts';

const isShell = (name: string | undefined): name is Shell => shells.includes((name ?? '') as Shell);

export const completionCommand: CommandSpec = {
  name: 'completion',
  positional: 'SHELL',
  positionalHelp: shells.join(', '),
  summary: 'print a script that completes commands and options in a shell',
  examples: [
    ['for this session of bash', 'completion bash'],
    ['for fish', 'completion fish'],
  ],
  declare: () => undefined,
  prepare(args, _flags, { io, root }) {
    const [shell] = args;
    if (!isShell(shell)) {
      const said = shell === undefined ? 'say which shell' : `no completion for "${shell}"`;
      const offer = didYouMean(shell ?? '', shells) || ` There are: ${shells.join(', ')}.`;
      throw new Failure('bad-option', `${said}.${offer}`);
    }
    return async () => {
      io.stdout.write(completionScript(shell, root));
      return 0;
    };
  },
};
