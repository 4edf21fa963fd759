/**
 * `tandem certs`: a certificate authority and certificates for a cluster without one of its own.
 *
 * A second call in the same folder renews the certificates and keeps the authority, so that files
 * can be replaced under a run; hosts and workers that are not named again are those that were. Keys
 * are readable by their owner only.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { readSecret, writeSecret } from '../../shared/adapters/secret-files.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { Role } from '../../shared/core/roles.ts';
import { type Issued, issue, newAuthority, type Validity } from '../certs/issue.ts';
import { keptHosts, keptWorkers } from '../certs/kept.ts';
import type { CommandSpec } from '../command.ts';

const dayMs = 86_400_000;
const authorityDays = 3650;
/** A clock that is a little behind must not find them in its future. */
const earlyMs = 3_600_000;
const listMax = 1000;

const listOf = (value: unknown): string[] =>
  typeof value !== 'string' ? [] : value.split(',').map((part) => part.trim());

function checked(option: string, names: readonly string[], valid: (name: string) => boolean) {
  const wrong = names.find((name) => !valid(name));
  if (wrong === undefined && names.length <= listMax) return names;
  const found = wrong === undefined ? `${names.length} names` : `"${wrong.slice(0, 64)}"`;
  throw new Failure('bad-option', `--${option} expects names between commas, not ${found}.`);
}

const isHost = (name: string) =>
  isIP(name) !== 0 || /^(\*\.)?[a-z0-9]([a-z0-9.-]{0,251})$/i.test(name);
const isWorker = (name: string) => /^[\w.-]{1,64}$/.test(name);

/** What was not named again and is taken from what lies there. */
const keptText = (option: string, names: readonly string[], from: string): string[] =>
  names.length === 0 ? [] : [`kept without ${option}, from ${from}: ${names.join(', ')}`];

/** The authority in a folder, made where there is none. */
function authorityIn(folder: string, validity: Validity): { authority: Issued; made: boolean } {
  const [certPath, keyPath] = [join(folder, 'ca.crt'), join(folder, 'ca.key')];
  if (statSync(keyPath, { throwIfNoEntry: false }) !== undefined) {
    const key = readSecret('out', keyPath).toString('utf8');
    return { authority: { cert: readFileSync(certPath, 'utf8'), key }, made: false };
  }
  const authority = newAuthority(validity);
  writeSecret(keyPath, authority.key);
  writeFileSync(certPath, authority.cert);
  return { authority, made: true };
}

export const certsCommand: CommandSpec = {
  name: 'certs',
  positional: '',
  summary: 'make or renew certificates: an authority, a coordinator, workers, watchers, an admin',
  examples: [
    ['for a coordinator at 10.0.0.1', 'certs --out certs --hosts 10.0.0.1'],
    ['with a certificate a worker', 'certs --out certs --hosts 10.0.0.1 --workers gpu-1,gpu-2'],
    ['renew all that are there for another 30 days', 'certs --out certs --days 30'],
  ],
  declare(command) {
    command.option('--out <DIR>', 'folder for the files', 'certs');
    command.option(
      '--hosts <NAMES>',
      'names and addresses of the coordinator, between commas (those of its certificate in --out)',
    );
    command.option(
      '--workers <NAMES>',
      'a certificate for each, which may join by this name only (those that have one in --out)',
    );
    command.option('--days <N>', 'how long they are valid', '365');
  },
  prepare(args, flags, { io }) {
    if (args[0] !== undefined) throw new Failure('bad-option', `unexpected "${args[0]}".`);
    const out = String(flags['out']);
    const days = Number(flags['days']);
    if (!Number.isInteger(days) || days < 1 || days > authorityDays)
      throw new Failure(
        'bad-option',
        `--days expects 1 to ${authorityDays}, not "${flags['days']}".`,
      );
    const local = ['localhost', '127.0.0.1', '::1', hostname()].filter(isHost);
    const named = checked('hosts', listOf(flags['hosts']), isHost);
    const called = checked('workers', listOf(flags['workers']), isWorker);
    return async () => {
      const oldHosts = checked('hosts', flags['hosts'] === undefined ? keptHosts(out) : [], isHost);
      const oldWorkers = flags['workers'] === undefined ? keptWorkers(out) : [];
      const hosts = [...new Set([...named, ...oldHosts, ...local])];
      const workers = [...called, ...oldWorkers];
      mkdirSync(out, { recursive: true, mode: 0o700 });
      const from = new Date(Date.now() - earlyMs);
      const until = (n: number): Validity => ({ from, to: new Date(Date.now() + n * dayMs) });
      const { authority, made } = authorityIn(out, until(authorityDays));
      const write = (file: string, role: Role, name: string): void => {
        const names = role === 'coordinator' ? hosts : [];
        const issued = issue(authority, { role, name, hosts: names, validity: until(days) });
        if (!new X509Certificate(issued.cert).checkIssued(new X509Certificate(authority.cert)))
          throw new Failure(
            'bad-certificate',
            `${out}/ca.crt was not made here: use another --out.`,
          );
        // The key first: a coordinator that looks meanwhile waits until the two fit together.
        writeSecret(join(out, `${file}.key`), issued.key);
        writeFileSync(join(out, `${file}.crt`), issued.cert);
      };
      write('coordinator', 'coordinator', 'coordinator');
      write('worker', 'worker', '*');
      write('watcher', 'watcher', '*');
      write('admin', 'admin', '*');
      for (const name of workers) write(`worker-${name}`, 'worker', name);
      const lines = [
        `${made ? 'made' : 'kept'} the authority ${join(out, 'ca.crt')}; its key never leaves this machine`,
        `coordinator (${hosts.join(', ')}), worker, watcher, admin${workers.map((w) => `, worker-${w}`).join('')}: ` +
          `${days} days`,
        ...keptText(
          '--hosts',
          oldHosts.filter((host) => !local.includes(host)),
          join(out, 'coordinator.crt'),
        ),
        ...keptText('--workers', oldWorkers, join(out, 'worker-NAME.crt')),
        `next: tandem coordinator … --tls-cert ${join(out, 'coordinator.crt')} --tls-key ` +
          `${join(out, 'coordinator.key')} --tls-ca ${join(out, 'ca.crt')}`,
      ];
      io.stdout.write(`${lines.join('\n')}\n`);
      return 0;
    };
  },
};
