/** `config.yaml` of a run folder: the options with which it began, ready for `--config`. */
import { stringify } from 'yaml';
import { type Config, configValues } from '../../shared/core/config.ts';

export function configYaml(config: Config): string {
  const { run: _run, json: _json, listen: _listen, ...values } = configValues(config);
  return `# Options of this run; "tandem train --config FILE" takes them.\n${stringify(values)}`;
}
