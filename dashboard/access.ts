/**
 * Who may look: the Host header, and off loopback a token that becomes a cookie.
 *
 * A page elsewhere can make a browser ask us under another name (DNS rebinding): names that are not
 * ours are refused, on loopback too. Tokens are compared in constant time; a wrong one costs the
 * asker half a second, and only a few may be wrong at once.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Access {
  /** Is this request's Host one of ours? */
  isOurHost(request: IncomingMessage): boolean;
  /** Needs no token, or carries the cookie of one. */
  isKnown(request: IncomingMessage): boolean;
  /** The cookie for a right token; null for a wrong one, or where too many are wrong. */
  login(token: string): Promise<string | null>;
}

const sessionsMax = 64;
const wrongAtOnceMax = 8;
const wrongMs = 500;
const cookieName = 'tandem_dashboard';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

export function accessTo(host: string, token: string | null, secure = false): Access {
  const wanted = token === null ? null : digest(token);
  const sessions: Buffer[] = [];
  let wrong = 0;
  const names = new Set(['localhost', hostname().toLowerCase(), host.toLowerCase()]);

  return {
    isOurHost(request) {
      const told = request.headers.host ?? '';
      const name = told
        .replace(/:\d+$/, '')
        .replace(/^\[(.*)\]$/, '$1')
        .toLowerCase();
      // A number is nobody's name: only a name can be pointed at us from outside.
      return names.has(name) || isIP(name) !== 0;
    },
    isKnown(request) {
      if (wanted === null) return true;
      const cookies = (request.headers.cookie ?? '').split(';').map((part) => part.trim());
      const given = cookies.find((part) => part.startsWith(`${cookieName}=`));
      const found = digest(given?.slice(cookieName.length + 1) ?? '');
      // All of them, so that the time does not tell which.
      return sessions.reduce((known, session) => timingSafeEqual(session, found) || known, false);
    },
    async login(given) {
      if (wanted === null || wrong >= wrongAtOnceMax) return null;
      if (!timingSafeEqual(wanted, digest(given))) {
        wrong += 1;
        await sleep(wrongMs, undefined, { ref: false });
        wrong -= 1;
        return null;
      }
      const session = randomBytes(32).toString('base64url');
      sessions.push(digest(session));
      if (sessions.length > sessionsMax) sessions.shift();
      return `${cookieName}=${session}; ${secure ? 'Secure; ' : ''}HttpOnly; SameSite=Strict; Path=/; Max-Age=43200`;
    },
  };
}
