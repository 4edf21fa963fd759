/**
 * The dashboard's server: a few files of our own, the summary, and events as a stream.
 *
 * It only reads. Everything has a bound: streams, bytes of a login, events of an answer; a stream
 * whose reader is slow waits alone. A reader that is far behind gets a summary instead of the events
 * that it missed, which is the same to it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { RunEvent } from '../shared/core/events.ts';
import { isLoopback } from '../shared/core/address.ts';
import { Failure } from '../shared/core/failures.ts';
import type { RunSummary } from '../shared/core/summary.ts';
import { type Access, accessTo } from './access.ts';
import { headers, pageFile } from './files.ts';

/** Where the dashboard looks. */
export interface DashboardSource {
  summary(): RunSummary;
  /** Events after a number, then live; ends where no more will come. */
  after(seq: number, signal: AbortSignal): AsyncIterable<RunEvent>;
}

export interface DashboardOptions {
  listen: { host: string; port: number };
  /** Needed off loopback. */
  token: string | null;
  /** Serves HTTPS with this certificate, and with what replaces it; plain HTTP where absent. */
  secure?: (Pair & { onChange(listener: (pair: Pair) => void): void }) | null;
  source: DashboardSource;
}

interface Pair {
  cert: Buffer;
  key: Buffer;
}

export interface Dashboard {
  /** http://HOST:PORT/, or https */
  url: string;
  close(): Promise<void>;
}

const streamsMax = 64;
const connectionsMax = 256;
/** More missed events than this are sent as one summary. */
const catchUpMax = 500;
const logMax = 500;
const loginBytesMax = 4096;
const beatMs = 15_000;
const handshakeMs = 10_000;

/** Listens. Rejects with `insecure-listen` or `address-in-use`. */
export async function serveDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { listen, token, source } = options;
  if (!isLoopback(listen.host) && token === null)
    throw new Failure(
      'insecure-listen',
      `--dashboard ${listen.host}:${listen.port} can be reached from other machines: give ` +
        '--dashboard-token-file FILE, or listen on 127.0.0.1.',
    );
  const { secure = null } = options;
  const access = accessTo(listen.host, token, secure !== null);
  const over = new AbortController();
  let streams = 0;
  let reading = Promise.resolve();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of headers) response.setHeader(name, value);
    const url = new URL(request.url ?? '/', 'http://dashboard');
    if (!access.isOurHost(request))
      return end(response, 421, 'This is not the host you asked for.');
    const login = url.pathname === '/login' && request.method === 'POST';
    if (request.method !== 'GET' && request.method !== 'HEAD' && !login)
      return end(response, 405, 'The dashboard only reads.');
    if (login) return await takeLogin(access, request, response);
    if (url.pathname === '/page/style.css') return await file(response, 'page/style.css');
    if (!access.isKnown(request)) {
      if (url.pathname === '/') return await file(response, 'page/login.html', 401);
      return end(response, 401, 'Sign in first.');
    }
    if (url.pathname === '/') return await file(response, 'page/index.html');
    if (url.pathname === '/api/summary') return json(response, source.summary());
    if (url.pathname === '/api/events') return await stream(request, response, url);
    if (url.pathname === '/api/log') {
      const before = Math.max(1, Math.floor(Number(url.searchParams.get('before')) || 1));
      // One at a time: each reads the file.
      const mine = reading.then(() => logBefore(before));
      reading = mine.then(
        () => undefined,
        () => undefined,
      );
      return json(response, await mine);
    }
    return await file(response, url.pathname.slice(1));
  }

  async function logBefore(before: number): Promise<RunEvent[]> {
    const last = Math.min(before, source.summary().seq + 1) - 1;
    const found: RunEvent[] = [];
    if (last < 1) return found;
    const enough = AbortSignal.any([over.signal, AbortSignal.timeout(10_000)]);
    for await (const event of source.after(Math.max(0, last - logMax), enough)) {
      if (event.seq <= last) found.push(event);
      if (event.seq >= last) break;
    }
    return found;
  }

  async function stream(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
  ): Promise<void> {
    if (streams >= streamsMax) return end(response, 503, `At most ${streamsMax} look at once.`);
    const told = Number(request.headers['last-event-id'] ?? url.searchParams.get('since'));
    let seq = Number.isSafeInteger(told) && told > 0 ? told : 0;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, over.signal]);
    streams += 1;
    const beat = setInterval(() => response.write(': beat\n\n'), beatMs);
    try {
      response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
      response.write('retry: 1000\n\n');
      const summary = source.summary();
      if (summary.seq - seq > catchUpMax || seq > summary.seq) {
        seq = summary.seq;
        await send(response, 'summary', seq, summary);
      }
      for await (const event of source.after(seq, signal)) {
        await send(response, 'run', event.seq, event);
        if (signal.aborted) return;
      }
      // Where it is only this server that goes, the page comes back with its last number.
      if (!signal.aborted) await send(response, 'end', null, {});
      response.end();
    } finally {
      clearInterval(beat);
      streams -= 1;
    }
  }

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else end(response, 500, 'The dashboard failed at this.');
    });
  };
  const server = secure === null ? createServer(serve) : secureServer(secure, serve);
  server.maxConnections = connectionsMax;
  // Whoever only looks keeps no process alive.
  server.unref();
  const port = await listening(server, listen);
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return {
    url: `${secure === null ? 'http' : 'https'}://${host}:${port}/`,
    async close() {
      // Streams say that this is the end, then everything is cut.
      over.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      setTimeout(() => server.closeAllConnections(), 200).unref();
      server.closeIdleConnections();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    },
  };
}

function secureServer(
  secure: NonNullable<DashboardOptions['secure']>,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): SecureServer {
  const { cert, key } = secure;
  const server = createSecureServer({ cert, key, handshakeTimeout: handshakeMs }, serve);
  secure.onChange((pair) => server.setSecureContext(pair));
  return server;
}

/** Writes an event of the stream; waits for a reader that is slow. */
async function send(
  response: ServerResponse,
  kind: string,
  seq: number | null,
  value: unknown,
): Promise<void> {
  const id = seq === null ? '' : `id: ${seq}\n`;
  if (response.write(`${id}event: ${kind}\ndata: ${JSON.stringify(value)}\n\n`)) return;
  await new Promise<void>((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}

async function takeLogin(
  access: Access,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > loginBytesMax) return end(response, 413, 'Too long for a token.');
  }
  const cookie = await access.login(new URLSearchParams(body).get('token') ?? '');
  if (cookie === null) return end(response, 403, 'This is not the token.');
  response.setHeader('Set-Cookie', cookie);
  response.setHeader('Location', './');
  end(response, 303, '');
}

async function file(response: ServerResponse, path: string, status = 200): Promise<void> {
  const found = await pageFile(path);
  if (found === null) return end(response, 404, 'There is no such page.');
  response.writeHead(status, { 'Content-Type': found.type });
  response.end(found.text);
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(value));
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}

function listening(
  server: Server | SecureServer,
  at: { host: string; port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: Error) => {
      const message =
        `the dashboard cannot listen on ${at.host}:${at.port}: ${cause.message}. Choose another ` +
        '--dashboard, or port 0 for a free one';
      reject(new Failure('address-in-use', message, { cause }));
    });
    server.listen(at.port, at.host, () => resolve((server.address() as AddressInfo).port));
  });
}
