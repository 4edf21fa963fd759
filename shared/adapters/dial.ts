/**
 * How a client reaches a coordinator: address, certificates, token.
 *
 * Without certificates the connection is plain, for loopback and networks that are trusted. With
 * them the coordinator must show one of `--tls-ca` that names the address, and we show ours.
 */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { parseAddress } from '../core/config.ts';
import { Failure } from '../core/failures.ts';
import {
  type CertificatePaths,
  type LiveCertificates,
  liveCertificates,
} from './certificate-files.ts';
import { channelOptions } from './grpc.ts';
import { readToken } from './token-file.ts';

/** What a client shows, and whom it trusts. */
export interface ClientSecurity {
  tls: CertificatePaths | null;
  /** Path of a file with a token. */
  tokenFile: string | null;
}

export const noSecurity: ClientSecurity = { tls: null, tokenFile: null };

export interface Dialled {
  target: string;
  credentials: grpc.ChannelCredentials;
  options: grpc.ClientOptions;
  /** Stops looking at files; open channels stay. */
  close(): void;
}

/** An address that can be connected to: what listens on all addresses is met on loopback. */
function reachable(address: string): { target: string; host: string } {
  const { host, port } = parseAddress(address) ?? { host: address, port: 0 };
  if (host === '0.0.0.0') return { target: `127.0.0.1:${port}`, host: '127.0.0.1' };
  if (host === '::') return { target: `[::1]:${port}`, host: '::1' };
  return { target: address, host };
}

/** Reads what the security names. Throws `bad-option` or `bad-certificate`. */
export function dial(address: string, security: ClientSecurity = noSecurity): Dialled {
  const { target, host } = reachable(address);
  const { tls, tokenFile } = security;
  // Read now, so that a bad file is told at once.
  if (tokenFile !== null) readToken('token-file', tokenFile);
  const interceptors = tokenFile === null ? {} : { interceptors: [bearer(tokenFile)] };
  if (tls === null) {
    const credentials = grpc.credentials.createInsecure();
    const options = { ...channelOptions, ...interceptors };
    return { target, credentials, options, close: () => undefined };
  }
  if (tls.ca === null)
    throw new Failure(
      'bad-option',
      '--tls-ca is missing: the certificate that vouches for the coordinator, such as certs/ca.crt.',
    );
  const certificates = liveCertificates(tls, () => undefined);
  const checked = (_host: string, certificate: PeerCertificate) =>
    checkServerIdentity(host, certificate);
  const credentials = clientCredentials(certificates, checked);
  // An address is no server name for TLS (RFC 6066); it is checked all the same.
  const name = isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'coordinator' };
  const options = { ...channelOptions, ...interceptors, ...name };
  return { target, credentials, options, close: () => certificates.close() };
}

/** Puts the token on each call, read from its file, which may be another by then. */
const bearer =
  (path: string): grpc.Interceptor =>
  (options, next) =>
    new grpc.InterceptingCall(next(options), {
      start(metadata, listener, go) {
        try {
          metadata.set('authorization', `Bearer ${readToken('token-file', path)}`);
        } catch {
          // Without a token the coordinator says what is missing.
        }
        go(metadata, listener);
      },
    });

function clientCredentials(
  certificates: LiveCertificates,
  checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined,
): grpc.ChannelCredentials {
  const identity = certificates.current.cert === null ? null : certificates;
  return grpc.experimental.createCertificateProviderChannelCredentials(certificates, identity, {
    checkServerIdentity,
  });
}
