/** `tandem doctor`: is everything here that a run needs, and what to do where not. */
import { parseConfig } from '../../shared/core/config.ts';
import { Failure, failures } from '../../shared/core/failures.ts';
import { type CommandSpec, declareOptions, flagLayer } from '../command.ts';
import { examine } from '../doctor.ts';
import { findingsText } from '../finding.ts';

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  positional: '',
  summary: 'look whether everything is here that a run needs; say what to do where not',
  examples: [
    ['this machine', 'doctor'],
    ['for a certain run, as JSON', 'doctor --model resnet50 --listen 127.0.0.1:7070 --json'],
  ],
  declare(command) {
    declareOptions(command, [
      'model',
      'size',
      'workers',
      'backend',
      'run',
      'nats',
      'listen',
      'insecure',
    ]);
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const layer = flagLayer(flags);
    const { config } = parseConfig([layer]);
    return async () => {
      const { surroundingsOf } = await import('../doctor-surroundings.ts');
      const findings = await examine(surroundingsOf(config, io.env));
      const ready = findings.every(({ state }) => state !== 'failed');
      io.stdout.write(
        config.json ? `${JSON.stringify({ ready, findings })}\n` : findingsText(findings),
      );
      return ready ? 0 : failures['backend-missing'].exit;
    };
  },
};
