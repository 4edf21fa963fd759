/**
 * Certificates from files, for both ends of a connection: read, checked, and read again when the
 * files change. A connection that stands is left alone; the next handshake uses the new ones.
 *
 * What is found wrong here is said here, where the file is, and not as an alert of OpenSSL at the
 * other end. Files that do not fit together are not used: the ones before stay.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { Failure } from '../core/failures.ts';
import { readBytes, readSecret, watchFiles } from './secret-files.ts';

/** Paths; `cert` and `key` go together. */
export interface CertificatePaths {
  cert: string | null;
  key: string | null;
  ca: string | null;
}

export interface Certificates {
  cert: Buffer | null;
  key: Buffer | null;
  ca: Buffer | null;
}

const noTls: CertificatePaths = { cert: null, key: null, ca: null };

/** What the options say; null where no file is named. Throws `bad-option`. */
export function certificatePaths(options: {
  tlsCert?: string | null | undefined;
  tlsKey?: string | null | undefined;
  tlsCa?: string | null | undefined;
}): CertificatePaths | null {
  const { tlsCert, tlsKey, tlsCa } = options;
  const paths = { ...noTls, cert: tlsCert ?? null, key: tlsKey ?? null, ca: tlsCa ?? null };
  if ((paths.cert === null) !== (paths.key === null))
    throw new Failure('bad-option', '--tls-cert and --tls-key belong together: give both.');
  return paths.cert === null && paths.ca === null ? null : paths;
}

const bad = (message: string, cause?: unknown): never => {
  throw new Failure('bad-certificate', message, { cause });
};

function parsed(option: string, path: string, bytes: Buffer): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (cause) {
    return bad(`--${option} ${path} is no certificate in PEM.`, cause);
  }
}

/** Throws `bad-option` or `bad-certificate`. */
export function readCertificates(paths: CertificatePaths, now = Date.now()): Certificates {
  const { cert: certPath, key: keyPath, ca: caPath } = paths;
  const ca = caPath === null ? null : readBytes('tls-ca', caPath);
  if (ca !== null && caPath !== null) parsed('tls-ca', caPath, ca);
  if (certPath === null || keyPath === null) return { cert: null, key: null, ca };
  const cert = readBytes('tls-cert', certPath);
  const key = readSecret('tls-key', keyPath);
  const { validFrom, validTo, checkPrivateKey } = wellFormed(certPath, cert);
  if (now < Date.parse(validFrom))
    bad(`--tls-cert ${certPath} is valid only from ${validFrom} on.`);
  if (now > Date.parse(validTo)) bad(`--tls-cert ${certPath} has expired on ${validTo}: renew it.`);
  if (!checkPrivateKey(key, keyPath))
    bad(`--tls-key ${keyPath} is not the key of --tls-cert ${certPath}.`);
  return { cert, key, ca };
}

function wellFormed(certPath: string, cert: Buffer) {
  const x509 = parsed('tls-cert', certPath, cert);
  const { validFrom, validTo } = x509;
  const checkPrivateKey = (key: Buffer, path: string) => {
    try {
      return x509.checkPrivateKey(createPrivateKey(key));
    } catch (cause) {
      return bad(`--tls-key ${path} is no private key in PEM, or one with a password.`, cause);
    }
  };
  return { validFrom, validTo, checkPrivateKey };
}

type CaListener = grpc.experimental.CaCertificateUpdateListener;
type IdentityListener = grpc.experimental.IdentityCertificateUpdateListener;

/** Certificates that follow their files; what gRPC takes to make credentials of. */
export interface LiveCertificates extends grpc.experimental.CertificateProvider {
  readonly current: Certificates;
  /** Called after each change. */
  onChange(listener: (certificates: Certificates) => void): void;
  close(): void;
}

/** Reads the files and watches them; `told` hears why changed ones are not used. */
export function liveCertificates(
  paths: CertificatePaths,
  told: (reason: string) => void,
): LiveCertificates {
  let current = readCertificates(paths);
  const forCa = new Set<CaListener>();
  const forIdentity = new Set<IdentityListener>();
  const others = new Set<(certificates: Certificates) => void>();
  const tellCa = (listener: CaListener) =>
    listener(current.ca === null ? null : { caCertificate: current.ca });
  const tellIdentity = (listener: IdentityListener) => {
    const { cert, key } = current;
    listener(cert === null || key === null ? null : { certificate: cert, privateKey: key });
  };
  const named = [paths.cert, paths.key, paths.ca].filter((path) => path !== null);
  const close = watchFiles(
    named,
    () => {
      current = readCertificates(paths);
      for (const listener of forCa) tellCa(listener);
      for (const listener of forIdentity) tellIdentity(listener);
      for (const listener of others) listener(current);
    },
    told,
  );
  return {
    get current() {
      return current;
    },
    // gRPC expects the first word later than the call that asks for it.
    addCaCertificateListener(listener) {
      forCa.add(listener);
      process.nextTick(() => forCa.has(listener) && tellCa(listener));
    },
    removeCaCertificateListener: (listener) => void forCa.delete(listener),
    addIdentityCertificateListener(listener) {
      forIdentity.add(listener);
      process.nextTick(() => forIdentity.has(listener) && tellIdentity(listener));
    },
    removeIdentityCertificateListener: (listener) => void forIdentity.delete(listener),
    onChange: (listener) => void others.add(listener),
    close,
  };
}

/** Credentials of a server: with a CA, whoever connects must show a certificate of it. */
export function serverCredentials(certificates: LiveCertificates): grpc.ServerCredentials {
  const ca = certificates.current.ca === null ? null : certificates;
  // The parameters' names are exchanged in grpc-js 1.14: the server's own certificate comes first.
  return grpc.experimental.createCertificateProviderServerCredentials(
    certificates,
    ca,
    ca !== null,
  );
}
