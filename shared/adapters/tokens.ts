/**
 * Tokens: a secret each, given to a peer once and kept here only as a hash, in a file that the
 * coordinator reads again when it changes.
 *
 * The text is `tandem.ID.SECRET`. The id finds the row, so that the secret is compared with one hash
 * and in constant time; it is 256 drawn bits, so a plain SHA-256 keeps it. A refusal says more than
 * "not known" only to whoever has shown the right secret.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Failure } from '../core/failures.ts';
import { nameOf, type PeerIdentity, type Role, tokenRoles } from '../core/roles.ts';
import { readSecret, watchFiles, writeSecret } from './secret-files.ts';

export interface TokenRow {
  id: string;
  role: Role;
  /** The worker's name that it may take; `*`: any. */
  name: string;
  /** Of the secret, hex. */
  sha256: string;
  /** ISO 8601, UTC. */
  created: string;
  expires: string;
  revoked: string | null;
}

/** Rows in one file. */
const rowsMax = 10_000;
const shape = /^tandem\.([\w-]{8})\.([\w-]{43})$/;

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();
const nobody = hashOf(randomBytes(32).toString('base64url'));

function isRow(value: unknown): value is TokenRow {
  if (typeof value !== 'object' || value === null) return false;
  const row = value as Record<keyof TokenRow, unknown>;
  const texts = [row.id, row.name, row.sha256, row.created, row.expires];
  return (
    texts.every((text) => typeof text === 'string') &&
    /^[0-9a-f]{64}$/.test(String(row.sha256)) &&
    tokenRoles.some((role) => role === row.role) &&
    !Number.isNaN(Date.parse(String(row.expires))) &&
    (row.revoked === null || typeof row.revoked === 'string')
  );
}

/** The rows of a tokens' file. Throws `bad-option`. */
export function readTokens(path: string): TokenRow[] {
  const text = readSecret('tokens', path).toString('utf8');
  try {
    const { version, tokens } = JSON.parse(text) as { version?: unknown; tokens?: unknown };
    if (version === 1 && Array.isArray(tokens) && tokens.length <= rowsMax && tokens.every(isRow))
      return tokens;
  } catch {
    // Said below.
  }
  throw new Failure('bad-option', `--tokens ${path} is no tokens' file; see "tandem token mint".`);
}

const write = (path: string, tokens: readonly TokenRow[]) =>
  writeSecret(path, `${JSON.stringify({ version: 1, tokens }, null, 2)}\n`);

/** Adds a token to a file, which is made where it is missing, and returns its text. */
export function mintToken(
  path: string,
  { role, name, expires }: Pick<TokenRow, 'role' | 'name'> & { expires: Date },
): { id: string; token: string } {
  const rows = existsSync(path) ? readTokens(path) : [];
  if (rows.length >= rowsMax)
    throw new Failure('bad-option', `${path} holds ${rowsMax} tokens: begin another file.`);
  const id = randomBytes(6).toString('base64url');
  const secret = randomBytes(32).toString('base64url');
  const sha256 = hashOf(secret).toString('hex');
  const created = new Date().toISOString();
  const row = { id, role, name, sha256, created, expires: expires.toISOString(), revoked: null };
  write(path, [...rows, row]);
  return { id, token: `tandem.${id}.${secret}` };
}

/** Marks tokens as revoked: those of this id, or of this name. Returns how many it were. */
export function revokeTokens(path: string, which: string): number {
  const rows = readTokens(path);
  const revoked = new Date().toISOString();
  let count = 0;
  const after = rows.map((row) => {
    if (row.revoked !== null || (row.id !== which && row.name !== which)) return row;
    count += 1;
    return { ...row, revoked };
  });
  if (count > 0) write(path, after);
  return count;
}

/** Who shows a token, or why not. */
export type TokenAnswer =
  | { kind: 'known'; id: string; identity: PeerIdentity }
  | { kind: 'unknown'; reason: string };

export interface Tokens {
  /** Who this text belongs to. */
  check(text: string): TokenAnswer;
  /** Why a token that was good before is none any more; null where it still is. */
  fault(id: string): string | null;
  close(): void;
}

function faultOf(row: TokenRow): string | null {
  if (row.revoked !== null) return 'its token was revoked';
  return Date.now() > Date.parse(row.expires) ? `its token expired on ${row.expires}` : null;
}

/** Tokens that follow their file; `told` hears why a changed one is not used. */
export function liveTokens(path: string, told: (reason: string) => void): Tokens {
  const read = () => new Map(readTokens(path).map((row) => [row.id, row]));
  let rows = read();
  const close = watchFiles(
    [path],
    () => {
      rows = read();
    },
    told,
  );
  return {
    check(text) {
      const [, id = '', secret = ''] = shape.exec(text) ?? [];
      const row = rows.get(id);
      const same = timingSafeEqual(
        hashOf(secret),
        row === undefined ? nobody : Buffer.from(row.sha256, 'hex'),
      );
      if (row === undefined || !same) return { kind: 'unknown', reason: 'its token is not known' };
      const reason = faultOf(row);
      if (reason !== null) return { kind: 'unknown', reason };
      return { kind: 'known', id, identity: { role: row.role, name: nameOf(row.name) ?? null } };
    },
    fault(id) {
      const row = rows.get(id);
      return row === undefined ? 'its token is not known any more' : faultOf(row);
    },
    close,
  };
}
