/**
 * A development CA: X.509 v3 certificates on P-256 keys (RFC 5280), signed with ECDSA and SHA-256.
 *
 * The subject says what Tandem reads: `O=tandem:ROLE`, `CN` the worker's name or `*`. The usages keep
 * roles apart in OpenSSL already: only the coordinator's certificate serves.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { organizationOf, type Role } from '../../shared/core/roles.ts';
import {
  bits,
  boolean,
  der,
  implicit,
  integer,
  octets,
  oid,
  sequence,
  setOf,
  tagged,
  time,
  utf8,
} from './der.ts';

/** A certificate and its key, PEM. */
export interface Issued {
  cert: string;
  key: string;
}

export interface Validity {
  from: Date;
  to: Date;
}

export interface CertificateWish {
  role: Role;
  /** The worker's name, or `*`. */
  name: string;
  /** Host names and addresses under which a coordinator is reached. */
  hosts: readonly string[];
  validity: Validity;
}

const signatureAlgorithm = sequence(oid('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256

/** `[attribute, text]` as a Name. */
const nameOf = (parts: readonly (readonly [string, string])[]): Uint8Array =>
  sequence(...parts.map(([attribute, text]) => setOf(sequence(oid(attribute), utf8(text)))));

const organization = '2.5.4.10';
const commonName = '2.5.4.3';

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}

/** Eight groups of 16 bits; `::` stands for the zeros that are missing. */
function ipv6Bytes(address: string): Uint8Array {
  const halves = address.split('::');
  const groups = (text: string | undefined) => (text ? text.split(':') : []);
  const [head, tail] = [groups(halves[0]), groups(halves[1])];
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  const all = halves.length === 1 ? head : [...head, ...zeros, ...tail];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function alternativeName(host: string): Uint8Array {
  if (isIP(host) === 4) return implicit(7, Uint8Array.from(host.split('.').map(Number)));
  if (isIP(host) === 6) return implicit(7, ipv6Bytes(host));
  return implicit(2, Buffer.from(host, 'latin1'));
}

const keyId = (key: KeyObject): Uint8Array =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);

interface Signer {
  name: Uint8Array;
  key: KeyObject;
  publicKey: KeyObject;
}

function certificate(
  subject: Uint8Array,
  publicKey: KeyObject,
  signer: Signer,
  { from, to }: Validity,
  extensions: readonly Uint8Array[],
): string {
  const body = sequence(
    tagged(0, integer(Uint8Array.of(2))), // v3
    integer(randomBytes(16)),
    signatureAlgorithm,
    signer.name,
    sequence(time(from), time(to)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(
      3,
      sequence(
        ...extensions,
        extension('2.5.29.14', false, octets(keyId(publicKey))),
        extension('2.5.29.35', false, sequence(implicit(0, keyId(signer.publicKey)))),
      ),
    ),
  );
  const signature = sign('sha256', body, signer.key);
  const base64 = Buffer.from(sequence(body, signatureAlgorithm, bits(signature))).toString(
    'base64',
  );
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pemOf = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const authorityName = (name: string) =>
  nameOf([
    [organization, 'tandem'],
    [commonName, name],
  ]);

/** A CA of its own, whose name is drawn so that two of them are never taken for one. */
export function newAuthority(validity: Validity): Issued {
  const { publicKey, privateKey } = newKey();
  const name = authorityName(`development CA ${randomBytes(4).toString('hex')}`);
  const cert = certificate(name, publicKey, { name, key: privateKey, publicKey }, validity, [
    extension('2.5.29.19', true, sequence(boolean(true), integer(Uint8Array.of(0)))),
    extension('2.5.29.15', true, bits(Uint8Array.of(0x06), 1)), // keyCertSign, cRLSign
  ]);
  return { cert, key: pemOf(privateKey) };
}

/** A certificate by this CA. */
export function issue(authority: Issued, wish: CertificateWish): Issued {
  const { role, name, hosts, validity } = wish;
  const { publicKey, privateKey } = newKey();
  const parent = new X509Certificate(authority.cert);
  const common = /CN=(.+)$/m.exec(parent.subject)?.[1] ?? '';
  const signer = {
    name: authorityName(common),
    key: createPrivateKey(authority.key),
    publicKey: parent.publicKey,
  };
  const subject = nameOf([
    [organization, organizationOf(role)],
    [commonName, name],
  ]);
  const client = oid('1.3.6.1.5.5.7.3.2');
  const usages = role === 'coordinator' ? [oid('1.3.6.1.5.5.7.3.1'), client] : [client];
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    extension('2.5.29.15', true, bits(Uint8Array.of(0x80), 7)), // digitalSignature
    extension('2.5.29.37', false, sequence(...usages)),
  ];
  if (hosts.length > 0)
    extensions.push(extension('2.5.29.17', false, der(0x30, ...hosts.map(alternativeName))));
  const cert = certificate(subject, publicKey, signer, validity, extensions);
  return { cert, key: pemOf(privateKey) };
}
