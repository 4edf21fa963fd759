/**
 * The words by which a client knows that a connection failed for certificates, and not because
 * nobody is there: gRPC has one status for both, and only its details tell them apart.
 */
import * as grpc from '@grpc/grpc-js';

/** OpenSSL's and Node's words for a handshake that failed for its certificates. */
const words =
  /certificate|altnames|unable to verify|unable to get .*issuer|alert|wrong version number|EPROTO/i;

export const isHandshakeFault = ({ code, details }: grpc.ServiceError): boolean =>
  code === grpc.status.UNAVAILABLE && words.test(details);

/** What to look at where `peer` and the coordinator do not trust each other. */
export const noTrust = (peer: string, told: string): string =>
  `no trust between ${peer} and the coordinator: ${told}. Check that both sides use TLS, ` +
  '--tls-ca, and the dates, names and issuers of both certificates';
