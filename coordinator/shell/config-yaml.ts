/** `config.yaml` of a run folder: the options with which it began, ready for `--config`. */
import { stringify } from 'yaml';
import { type Config, configValues } from '../../shared/core/config.ts';

export function configYaml(config: Config): string {
  const { run: _run, json: _json, listen: _listen, nats, ...values } = configValues(config);
  // A password in the server's address is not for a file that others read.
  if (typeof nats === 'string' && !nats.includes('@')) values['nats'] = nats;
  return `# Options of this run; "tandem train --config FILE" takes them.\n${stringify(values)}`;
}
