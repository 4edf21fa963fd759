/**
 * Who a command is to a coordinator, and whom it trusts: the options of certificates and tokens, or
 * what the run's own `config.yaml` says where the command is on the coordinator's machine.
 */
import type { Command } from 'commander';
import { certificatePaths } from '../shared/adapters/certificate-files.ts';
import type { ClientSecurity } from '../shared/adapters/dial.ts';
import type { Config } from '../shared/core/config.ts';
import { Failure } from '../shared/core/failures.ts';
import type { GivenFlags } from './command.ts';
import { readRunConfig } from './config-file.ts';

/** Declares `--tls-cert`, `--tls-key`, `--tls-ca` and `--token-file`. */
export function declareSecurity(command: Command): void {
  command.option('--tls-ca <FILE>', 'certificates that vouch for the coordinator');
  command.option('--tls-cert <FILE>', 'our certificate (PEM); read again when it changes');
  command.option('--tls-key <FILE>', 'the key of --tls-cert');
  command.option('--token-file <FILE>', 'our token, where the coordinator asks for one');
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** What the flags say; the files are read where they are used. Throws `bad-option`. */
export function securityOf(flags: GivenFlags): ClientSecurity {
  const tls = certificatePaths({
    tlsCert: text(flags['tlsCert']),
    tlsKey: text(flags['tlsKey']),
    tlsCa: text(flags['tlsCa']),
  });
  return { tls, tokenFile: text(flags['tokenFile']) };
}

/** As `securityOf`; without certificates among the flags, those of the coordinator of this run. */
export function securityOfRun(flags: GivenFlags, run: string): ClientSecurity {
  const given = securityOf(flags);
  if (given.tls !== null) return given;
  const values = readRunConfig(run)?.values ?? {};
  const own = (name: string) => text(values[name]);
  const [tlsCert, tlsKey] = [own('tls-cert'), own('tls-key')];
  if (tlsCert === null) return given;
  // A coordinator without a CA of its own (it asks for tokens) has no word for whom to trust.
  const tlsCa = own('tls-ca') ?? tlsCert;
  return { ...given, tls: certificatePaths({ tlsCert, tlsKey, tlsCa }) };
}

/** The workers that `train` starts show the coordinator's own certificate; they have no token. */
export function checkOwnWorkers({ tokens, tlsCa, tlsCert }: Config): void {
  if (tlsCert !== null && tlsCa === null)
    throw new Failure(
      'bad-option',
      'train needs --tls-ca beside --tls-cert: its own workers show that certificate.',
    );
  if (tokens === null || tlsCert !== null) return;
  throw new Failure(
    'bad-option',
    '--tokens with train needs --tls-cert, --tls-key and --tls-ca, with which its own workers show ' +
      'who they are; or start "tandem coordinator" and "tandem worker".',
  );
}
