/**
 * What a folder of certificates says of the wishes behind it, so that a renewal without them asks
 * for the same: the coordinator's hosts, and the workers with a certificate of their own.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { Failure } from '../../shared/core/failures.ts';

/** One spelling of an address: Node writes the zeros of IPv6 out. */
function spelled(host: string): string {
  if (isIP(host) !== 6) return host;
  return new URL(`x://[${host}]`).hostname.slice(1, -1);
}

/** Names and addresses in a certificate's subjectAltName. */
export function hostsIn(cert: string | Buffer): string[] {
  const names = new X509Certificate(cert).subjectAltName?.split(', ') ?? [];
  return names.flatMap((name) => {
    const [, host] = /^(?:DNS|IP Address):(.+)$/.exec(name) ?? [];
    return host === undefined ? [] : [spelled(host)];
  });
}

/** Hosts of the coordinator's certificate; none where there is none. Throws `bad-certificate`. */
export function keptHosts(folder: string): string[] {
  const path = join(folder, 'coordinator.crt');
  if (!existsSync(path)) return [];
  try {
    return hostsIn(readFileSync(path));
  } catch (cause) {
    const message =
      `${path} does not say for which hosts it is: expected a certificate, found ` +
      `${(cause as Error).message}. Give --hosts, or another --out.`;
    throw new Failure('bad-certificate', message, { cause });
  }
}

/** Names of the workers with a certificate there. */
export function keptWorkers(folder: string): string[] {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files.flatMap((file) => /^worker-([\w.-]{1,64})\.crt$/.exec(file)?.[1] ?? []).sort();
}
