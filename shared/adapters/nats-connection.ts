/**
 * How a NATS server is reached: its address, who we are there, and whom we trust.
 *
 * Secrets come from files or from the environment, never from options, and stand in no message.
 * One file option covers the three kinds of credential that NATS knows; its content says which.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
import { Failure } from '../core/failures.ts';

export interface NatsTarget {
  url: string;
  /** Name under which the server lists this client. */
  name: string;
  authenticator: Authenticator | null;
  tls: { ca?: string; cert?: string; key?: string } | null;
}

/** What the options say; all but the address are paths of files. */
export interface NatsSettings {
  nats: string;
  natsCredentials?: string | null | undefined;
  natsCa?: string | null | undefined;
  natsCert?: string | null | undefined;
  natsKey?: string | null | undefined;
}

type Environment = Record<string, string | undefined>;

const secretCharsMax = 64 * 1024;

/** The server's address without a password, for messages. */
export function withoutSecret(url: string): string {
  return url.replace(/(^|,|\/\/)[^/,]*@/g, '$1***@');
}

function readText(option: string, path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.trim() !== '' && text.length <= secretCharsMax) return text;
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Failure('bad-option', `--${option} cannot be read: ${reason}.`, { cause });
  }
  throw new Failure('bad-option', `--${option} ${path} is empty or far too large.`);
}

/** A credentials file (JWT and seed), an nkey seed, or a token: the content says which. */
function authenticatorOf(path: string): Authenticator {
  const text = readText('nats-credentials', path);
  const bytes = new TextEncoder().encode(text);
  if (text.includes('-----BEGIN NATS USER JWT-----')) return credsAuthenticator(bytes);
  const line = text.trim();
  if (/^SU[A-Z2-7]{40,}$/.test(line)) return nkeyAuthenticator(new TextEncoder().encode(line));
  if (/^\S{1,4096}$/.test(line)) return tokenAuthenticator(line);
  throw new Failure(
    'bad-option',
    `--nats-credentials ${path} is neither a credentials file (JWT and seed), nor an nkey seed ` +
      '(SU…), nor a token on one line.',
  );
}

function fromEnvironment(env: Environment): Authenticator | null {
  const token = env['TANDEM_NATS_TOKEN'];
  const [user, password] = [env['TANDEM_NATS_USER'], env['TANDEM_NATS_PASSWORD']];
  if (token !== undefined && token !== '') return tokenAuthenticator(token);
  if (user !== undefined && user !== '') return usernamePasswordAuthenticator(user, password ?? '');
  return null;
}

/** `user:password@` or `token@` of an address, taken out of it: the client does not read it there. */
function fromUrl(url: string): { bare: string; authenticator: Authenticator | null } {
  const match = /^((?:[a-z]+:\/\/)?)([^/]*)@(.*)$/i.exec(url);
  if (match === null) return { bare: url, authenticator: null };
  const [, scheme = '', who = '', rest = ''] = match;
  const at = who.indexOf(':');
  const authenticator =
    at < 0
      ? tokenAuthenticator(decoded(who))
      : usernamePasswordAuthenticator(decoded(who.slice(0, at)), decoded(who.slice(at + 1)));
  return { bare: scheme + rest, authenticator };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Reads what the settings name. Throws `bad-option` where a file cannot be used. */
export function natsTarget(settings: NatsSettings, name: string, env: Environment): NatsTarget {
  const { nats, natsCredentials, natsCa, natsCert, natsKey } = settings;
  if (((natsCert ?? null) === null) !== ((natsKey ?? null) === null)) {
    throw new Failure('bad-option', '--nats-cert and --nats-key belong together: give both.');
  }
  const tls: NonNullable<NatsTarget['tls']> = {};
  if (natsCa) tls.ca = readText('nats-ca', natsCa);
  if (natsCert) tls.cert = readText('nats-cert', natsCert);
  if (natsKey) tls.key = readText('nats-key', natsKey);
  const { bare, authenticator } = fromUrl(nats);
  return {
    url: bare,
    name,
    authenticator: natsCredentials
      ? authenticatorOf(natsCredentials)
      : (authenticator ?? fromEnvironment(env)),
    tls: Object.keys(tls).length > 0 ? tls : null,
  };
}

/**
 * The address of a single server named by number: its certificate is checked against that. The client
 * itself checks against a name only, and takes "localhost" where it has none.
 */
function numberOf(url: string): string | null {
  const host = /^(?:[a-z]+:\/\/)?\[?([^\],/]+?)\]?(?::\d+)?$/i.exec(url)?.[1] ?? '';
  return isIP(host) === 0 ? null : host;
}

/** What the client takes. */
export function connectionOptions(target: NatsTarget, timeoutMs: number): ConnectionOptions {
  const { url, name, authenticator, tls } = target;
  const host = numberOf(url);
  // Handed through to Node's own TLS options, whose `host` the client's types do not know.
  const trust: TlsOptions & { host?: string } = { ...tls, ...(host === null ? {} : { host }) };
  const secure = tls !== null || /^tls:\/\//i.test(url);
  return {
    servers: url.replace(/^tls:\/\//i, ''),
    name,
    timeout: timeoutMs,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 250,
    pingInterval: 5000,
    maxPingOut: 2,
    ...(authenticator === null ? {} : { authenticator }),
    ...(secure ? { tls: trust } : {}),
  };
}
