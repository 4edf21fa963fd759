/**
 * The door of a coordinator: who is let in, and to what.
 *
 * Every call passes here before its first message is read. The connection's certificate and the
 * call's token each say a role; whatever the coordinator was told to ask for must be shown, and
 * where both speak they must agree. Nothing that a peer says of itself counts. Without certificates
 * and tokens everybody who reaches the port may do everything, which is for loopback.
 */
import type { PeerCertificate } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import {
  type CertificatePaths,
  certificatePaths,
  type LiveCertificates,
  liveCertificates,
  serverCredentials,
} from '../../shared/adapters/certificate-files.ts';
import { connectionGuard } from '../../shared/adapters/connection-limits.ts';
import type { ServerGuard } from '../../shared/adapters/grpc.ts';
import { liveTokens, type Tokens } from '../../shared/adapters/tokens.ts';
import type { Config } from '../../shared/core/config.ts';
import { type FailureCode, failures } from '../../shared/core/failures.ts';
import {
  everybody,
  forbidden,
  nameOf,
  type PeerIdentity,
  roleOf,
} from '../../shared/core/roles.ts';

/** Who a call is from, and by what that was shown. */
export interface Caller {
  identity: PeerIdentity;
  /** Id of its token; null where it showed none. */
  token: string | null;
}

/** Whoever reaches the port, where no proof is asked for. */
export const anybody: Caller = { identity: everybody, token: null };

interface Refused {
  code: FailureCode;
  message: string;
}

/** What a call shows: gRPC's calls are of this kind. */
export interface Shown {
  metadata: grpc.Metadata;
  getAuthContext(): { sslPeerCertificate?: PeerCertificate | undefined };
}

export interface Door {
  credentials: grpc.ServerCredentials;
  guard: ServerGuard;
  /** Of the server itself; null without TLS. */
  certificates: LiveCertificates | null;
  /** Who a call that was permitted is from. */
  callerOf(call: Shown): Caller;
  /** Why a caller is not let in any more: revoked, expired. Null where it still is. */
  fault(caller: Caller): string | null;
  close(): void;
}

/** Throws `bad-option` or `bad-certificate`; `told` hears of files that cannot be used later. */
export function openDoor(config: Config, told: (reason: string) => void): Door {
  const paths = certificatePaths(config);
  const certificates = paths === null || paths.cert === null ? null : liveCertificates(paths, told);
  const tokens = config.tokens === null ? null : liveTokens(config.tokens, told);
  const asksCertificate = certificates !== null && asks(paths);
  const connections = connectionGuard();

  const caller = (metadata: grpc.Metadata, certificate: PeerCertificate | undefined) =>
    callerBy(asksCertificate ? { certificate } : null, tokens, metadata);

  const interceptor: grpc.ServerInterceptor = (method, call) =>
    new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, go) {
            const found = caller(metadata, call.getAuthContext().sslPeerCertificate);
            const fault =
              'code' in found ? found : refusedFor(forbidden(method.path, found.identity));
            if (fault === null) {
              connections.permitted(call.getPeer());
              go(metadata);
              return;
            }
            const code = grpc.status[failures[fault.code].status];
            call.sendStatus({ code, details: fault.message });
          },
        });
      },
    });

  return {
    credentials:
      certificates === null
        ? grpc.ServerCredentials.createInsecure()
        : serverCredentials(certificates),
    guard: { interceptor, connections },
    certificates,
    callerOf(call) {
      if (!asksCertificate && tokens === null) return anybody;
      const found = caller(call.metadata, call.getAuthContext().sslPeerCertificate);
      if ('code' in found)
        throw new Error(`a call was let in that shows nothing: ${found.message}`);
      return found;
    },
    fault: ({ token }) => (token === null || tokens === null ? null : tokens.fault(token)),
    close() {
      certificates?.close();
      tokens?.close();
    },
  };
}

const asks = (paths: CertificatePaths | null): boolean => (paths?.ca ?? null) !== null;

const refusedFor = (message: string | null): Refused | null =>
  message === null ? null : { code: 'forbidden', message };

function callerBy(
  tls: { certificate: PeerCertificate | undefined } | null,
  tokens: Tokens | null,
  metadata: grpc.Metadata,
): Caller | Refused {
  const shown = tls === null ? null : identityOf(tls.certificate);
  // The owner's own certificate is proof enough: who holds its key could change the tokens.
  if (tokens === null || shown?.role === 'coordinator') {
    if (tls === null) return anybody;
    if (shown !== null) return { identity: shown, token: null };
    const message =
      'its certificate says no role: it needs one organization such as O=tandem:worker, and a ' +
      'common name, the worker’s or "*" ("tandem certs" makes such ones)';
    return { code: 'forbidden', message };
  }
  const header = String(metadata.get('authorization')[0] ?? '');
  const [, text] = /^Bearer (\S{1,200})$/.exec(header) ?? [];
  if (text === undefined)
    return {
      code: 'unauthenticated',
      message: 'this coordinator asks for a token: --token-file FILE',
    };
  const answer = tokens.check(text);
  if (answer.kind === 'unknown') return { code: 'unauthenticated', message: answer.reason };
  const { identity, id } = answer;
  if (shown === null) return { identity, token: id };
  const agree =
    shown.role === identity.role &&
    (shown.name === null || identity.name === null || shown.name === identity.name);
  if (!agree) {
    const message = 'its certificate and its token are of different peers';
    return { code: 'forbidden', message };
  }
  return { identity: { role: shown.role, name: shown.name ?? identity.name }, token: id };
}

const listOf = (value: string | string[] | undefined): string[] =>
  value === undefined ? [] : [value].flat();

/** What a certificate of the CA says of its owner; null where it says nothing to us. */
function identityOf(certificate: PeerCertificate | undefined): PeerIdentity | null {
  // The types know one value of each; Node gives a list where there are several.
  const subject = certificate?.subject as
    | { O?: string | string[]; CN?: string | string[] }
    | undefined;
  const role = roleOf(listOf(subject?.O));
  const names = listOf(subject?.CN);
  const name = names.length === 1 ? nameOf(names[0]) : undefined;
  if (role === null || name === undefined) return null;
  // The workers that `train` starts show the coordinator's own.
  return { role, name: role === 'coordinator' ? null : name };
}
